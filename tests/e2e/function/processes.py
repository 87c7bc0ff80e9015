"""Applications that start processes: each route answers what came of its children."""

import asyncio
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor


def send_back(connection):
    connection.send(42)
    connection.close()


def square(number):
    return number * number


def sleep_for_ever(at_work=None):
    if at_work is not None:
        at_work.set()
    while True:
        time.sleep(0.1)


def process_with_pipe(method):
    context = multiprocessing.get_context(method)
    here, there = context.Pipe()
    process = context.Process(target=send_back, args=(there,))
    process.start()
    answer = here.recv() if here.poll(30) else "nothing"
    process.join(30)
    return [answer, process.exitcode]


def pool(method):
    with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as executor:
        return list(executor.map(square, [1, 2, 3]))


def manager(method):
    with multiprocessing.get_context(method).Manager() as shared:
        numbers = shared.list([1])
        numbers.append(2)
        return list(numbers)


def terminated(method, number):
    context = multiprocessing.get_context(method)
    at_work = context.Event()
    process = context.Process(target=sleep_for_ever, args=(at_work,))
    process.start()
    at_work.wait(30)
    # In a child that a thread forks, Python 3.13 and later see a signal only where it interrupts
    # a system call; so the next one may be the first that is seen.
    for _ in range(30):
        os.kill(process.pid, number)
        process.join(1)
        if process.exitcode is not None:
            break
    code = process.exitcode
    process.kill()
    return code


def ended_at_once(method, number):
    """Before the child has run at all, more often than not."""
    context = multiprocessing.get_context(method)
    codes = []
    for _ in range(10):
        process = context.Process(target=sleep_for_ever)
        process.start()
        os.kill(process.pid, number)
        process.join(5)
        codes.append(process.exitcode)
        process.kill()
    return codes


def bare_fork(end):
    pid = os.fork()
    if pid == 0:
        end()
        return "the child came back"
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def subprocess_run():
    done = subprocess.run([sys.executable, "-c", "print(6 * 7)"], capture_output=True, check=True)
    return int(done.stdout)


def inherited_sockets():
    """How many a program gets that is started with every inheritable descriptor."""
    script = (
        "import os, stat\n"
        "def is_socket(number):\n"
        "    try: return stat.S_ISSOCK(os.fstat(int(number)).st_mode)\n"
        "    except OSError: return False\n"
        "print(sum(map(is_socket, os.listdir('/proc/self/fd'))))"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, check=True, close_fds=False)
    return int(done.stdout)


def in_child_loop():
    """A forked child with an event loop of its own."""
    context = multiprocessing.get_context("fork")
    process = context.Process(target=lambda: sys.exit(asyncio.run(asyncio.sleep(0, 7))))
    process.start()
    process.join(10)
    return process.exitcode


ROUTES = {
    "/pipe": process_with_pipe,
    "/pool": pool,
    "/manager": manager,
    "/term": lambda method: terminated(method, signal.SIGTERM),
    "/term_at_once": lambda method: ended_at_once(method, signal.SIGTERM),
    "/int_at_once": lambda method: ended_at_once(method, signal.SIGINT),
    "/int": lambda method: terminated(method, signal.SIGINT),
    "/subprocess": lambda _: subprocess_run(),
    "/sockets": lambda _: inherited_sockets(),
    "/child_loop": lambda _: in_child_loop(),
    "/fork_exit": lambda _: bare_fork(lambda: sys.exit(3)),
    "/fork_os_exit": lambda _: bare_fork(lambda: os._exit(4)),
    "/fork_return": lambda _: bare_fork(lambda: None),
}


async def app(scope, receive, send):
    """Run the route in the event loop's thread (`?here`), or in another one."""
    if scope["type"] != "http":
        raise ValueError("only HTTP")
    method, _, where = scope["query_string"].decode().partition("&")
    route = ROUTES.get(scope["path"])
    if route is None:
        content = "hello"
    elif where == "here":
        content = route(method)
    else:
        content = await asyncio.to_thread(route, method)
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(content).encode()})
