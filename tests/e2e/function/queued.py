"""A function that logs as Litestar does by default: through a queue, with a thread behind it."""

import logging
import time
from logging.handlers import QueueHandler, QueueListener
from queue import Queue

from bare import app as bare


class Slow(logging.Handler):
    """Takes a moment for each record, as a handler with a network behind it does."""

    def emit(self, record):
        time.sleep(0.1)
        print(f"handled {record.getMessage()}", flush=True)


records = Queue()
logger = logging.getLogger("queued")
logger.addHandler(QueueHandler(records))
logger.addHandler(QueueHandler(Queue()))  # whose listener was forgotten
QueueListener(records, Slow()).start()


async def app(scope, receive, send):
    await bare(scope, receive, send)
    if scope["type"] == "http":
        logger.error(scope["path"])
