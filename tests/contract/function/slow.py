"""An application whose import takes longer than Lambda's init phase, and counts itself.

The count is a file of /tmp, which Lambda keeps where it starts the process again.
"""

import os
import tempfile
import time
from pathlib import Path

from answers import answer_json, lifespan

SECONDS = float(os.environ.get("SLOW_IMPORT", "15"))

count = Path(tempfile.gettempdir(), "imports-of-slow")
with count.open("a") as file:
    file.write("x")
time.sleep(SECONDS)


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await lifespan(receive, send)
    else:
        await answer_json(send, {"imports": len(count.read_text()), "seconds": SECONDS})
