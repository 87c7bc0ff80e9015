"""An application that abuses its own process: /NAME calls the function of that name.

`survives`: the request is answered 200 by the process, and it serves the next one.
`recovers`: it may cost the environment; the next request is served, by it or by a new one.
"""

import asyncio
import atexit
import builtins
import contextlib
import gc
import json
import logging
import multiprocessing
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ProcessPoolExecutor

ABUSES = {}


def survives(function):
    ABUSES[function.__name__] = (function, True)
    return function


def recovers(function):
    ABUSES[function.__name__] = (function, False)
    return function


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        raise ValueError("no lifespan here")
    await receive()
    name = scope["path"].removeprefix("/")
    found = "ok"
    if name != "ok":
        found = ABUSES[name][0]()
        if asyncio.iscoroutine(found):
            found = await found
    body = str(found or "ok").encode()
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": body[:3], "more_body": True})
    await send({"type": "http.response.body", "body": body[3:]})


# Children


def forked(work):
    """Fork, let the child do its work, and give its exit code, or the number of its signal."""
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(9)
    _, status = os.waitpid(pid, 0)
    return str(os.waitstatus_to_exitcode(status))


@survives
def a_child_that_exits():
    return forked(lambda: os._exit(0))


@recovers
def a_child_that_raises():
    return forked(lambda: int("x"))


@recovers
def a_child_that_calls_sys_exit():
    return forked(lambda: sys.exit(3))


@survives
def a_child_that_is_terminated():
    pid = os.fork()
    if pid == 0:
        while True:
            time.sleep(1)
    os.kill(pid, signal.SIGTERM)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == -signal.SIGTERM, status


@survives
def a_child_that_closes_everything():
    def close():
        os.closerange(0, 200)
        os._exit(0)

    return forked(close)


@survives
def a_child_that_is_never_waited_for():
    if os.fork() == 0:
        os._exit(0)


@survives
def a_grandchild_that_keeps_every_descriptor():
    if os.fork() == 0:
        if os.fork() == 0:
            time.sleep(3)
        os._exit(0)
    os.wait()


@survives
def a_program():
    return subprocess.run(["/bin/sh", "-c", "echo out"], capture_output=True, check=True).stdout


@survives
async def a_program_of_asyncio():
    process = await asyncio.create_subprocess_exec("/bin/sh", "-c", "exit 3")
    assert await process.wait() == 3


def answer(pipe):
    pipe.send(42)


async def child_of(method):
    context = multiprocessing.get_context(method)
    ours, theirs = context.Pipe()
    process = context.Process(target=answer, args=(theirs,))
    process.start()
    assert await asyncio.to_thread(ours.poll, 8), "no answer"
    assert ours.recv() == 42
    await asyncio.to_thread(process.join, 8)
    assert process.exitcode == 0, process.exitcode


@survives
async def multiprocessing_fork():
    await child_of("fork")


@survives
async def multiprocessing_spawn():
    await child_of("spawn")


@survives
async def multiprocessing_forkserver():
    await child_of("forkserver")


@survives
async def a_pool_of_processes():
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        found = await asyncio.get_running_loop().run_in_executor(pool, abs, -7)
    assert found == 7


# Descriptors


@survives
def standard_streams_closed():
    for number in (0, 1, 2):
        os.close(number)


@survives
def standard_streams_none():
    sys.stdout = sys.stderr = sys.stdin = None
    logging.getLogger().error("to nowhere")


@survives
def standard_streams_closed_in_python():
    sys.stdout.close()
    sys.stderr.close()


@survives
def standard_streams_that_raise():
    class Stream:
        def write(self, text):
            raise OSError(text)

        flush = write

    sys.stdout = sys.stderr = Stream()
    logging.getLogger().error("to nowhere")


@recovers
def every_descriptor_closed():
    os.closerange(3, 200)


@recovers
def every_socket_shut_down():
    for number in range(3, 200):
        with contextlib.suppress(OSError):
            socket.socket(fileno=os.dup(number)).shutdown(socket.SHUT_RDWR)


@survives
def every_descriptor_used_up():
    with contextlib.suppress(OSError):
        while True:
            every_descriptor_used_up.kept.append(os.open("/dev/null", os.O_RDONLY))


every_descriptor_used_up.kept = []


@survives
def a_hundred_megabytes_on_stdout():
    for _ in range(100):
        sys.stdout.write("x" * 1_000_000 + "\n")


@survives
def a_hundred_megabytes_in_one_line_on_stderr():
    for _ in range(100):
        sys.stderr.write("x" * 1_000_000)


@survives
def half_a_character_on_stdout():
    os.write(1, b"\xc3")
    os.write(1, b"\0\x1b[31m\r")


@survives
def ten_thousand_records():
    for number in range(10_000):
        logging.getLogger("many").warning("number %d", number)


# Limits


@recovers  # after a stream Lamella opens another connection
def few_descriptors():
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))


@survives
def no_files():
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))


@survives
def no_children():
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))


@survives
def no_stack_for_python():
    sys.setrecursionlimit(60)


@survives
def recursion_without_end():
    with contextlib.suppress(RecursionError):
        recursion_without_end()


@recovers
def no_memory():
    resource.setrlimit(resource.RLIMIT_AS, (300_000_000, 300_000_000))
    return bytearray(1_000_000_000)


@recovers
def no_time():
    resource.setrlimit(resource.RLIMIT_CPU, (1, 1))
    while True:
        pass


# Patches


def broken(*_, **__):
    raise RuntimeError("patched")


@survives
def json_patched():
    json.loads = json.dumps = json.load = json.dump = json.JSONEncoder = json.JSONDecoder = broken


@survives
def time_stopped():
    now = time.time()
    time.time = lambda: now


@survives
def time_far_away():
    time.time = lambda: 4e9


@survives
def time_that_raises():
    time.time = time.sleep = time.perf_counter = broken


@survives
def logging_and_time_that_raise():
    time_that_raises()
    logging.getLogger("lamella").error("a record cannot be made")


@survives
def print_patched():
    builtins.print = builtins.open = builtins.input = broken


@survives
def os_patched():
    os.getpid = os.urandom = os.getcwd = broken
    os.environ.clear()


@recovers  # after a stream Lamella opens another connection
def sockets_patched():
    socket.socket = socket.create_connection = socket.getaddrinfo = broken


@survives
def logging_disabled():
    logging.disable(logging.CRITICAL)
    logging.getLogger().handlers.clear()


@survives
def logging_that_raises():
    logging.Logger.handle = logging.Logger._log = broken


@survives
def logging_class_replaced():
    class Logger(logging.Logger):
        def makeRecord(self, *arguments, **options):
            raise RuntimeError("patched")

    logging.setLoggerClass(Logger)
    logging.setLogRecordFactory(broken)


@survives
def excepthooks_that_raise():
    sys.excepthook = sys.unraisablehook = threading.excepthook = broken


@survives
def modules_forgotten():
    for name in [name for name in sys.modules if name.startswith("lamella")]:
        del sys.modules[name]


@survives
def folder_gone():
    os.chdir("/proc/self/fdinfo")


@survives
def no_garbage_collection():
    gc.disable()
    gc.set_threshold(0)


# The event loop


@survives
def loop_in_debug_mode():
    asyncio.get_running_loop().set_debug(True)


@survives
def loop_handler_that_raises():
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(broken)
    loop.call_soon(broken)


@survives
def loop_without_task_factory():
    asyncio.get_running_loop().set_task_factory(None)


@survives
def current_loop_unset():
    asyncio.set_event_loop(None)


@recovers
def task_factory_that_raises():
    asyncio.get_running_loop().set_task_factory(broken)


@recovers
def loop_stopped():
    asyncio.get_running_loop().stop()


@recovers
def loop_closed():
    asyncio.get_running_loop().call_soon(asyncio.get_running_loop().close)


@recovers
def every_task_cancelled():
    for task in asyncio.all_tasks():
        task.cancel()


@survives
def own_task_cancelled_when_answered():
    asyncio.get_running_loop().call_later(0.05, asyncio.current_task().cancel)


@survives
def blocked_for_a_while():
    time.sleep(0.5)


# Threads and signals


@survives
def a_thread_that_never_ends():
    threading.Thread(target=time.sleep, args=(60,)).start()


@survives
def a_hundred_threads():
    for _ in range(100):
        threading.Thread(target=time.sleep, args=(1,), daemon=True).start()


@survives
def a_thread_that_exits():
    threading.Thread(target=sys.exit).start()


@survives
def a_thread_that_stops_other_threads():
    for name in ("wait", "set"):
        setattr(threading.Event, name, broken)


@survives
def signals_ignored():
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        with contextlib.suppress(OSError, ValueError):
            signal.signal(number, signal.SIG_IGN)


@survives
def signals_blocked():
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())


@survives
def wakeup_descriptor_taken():
    signal.set_wakeup_fd(-1)


@survives
def own_handler_called():
    signal.signal(signal.SIGUSR1, lambda number, frame: None)
    os.kill(os.getpid(), signal.SIGUSR1)


@recovers
async def terminated():
    os.kill(os.getpid(), signal.SIGTERM)
    await asyncio.sleep(5)


@recovers
def killed():
    os.kill(os.getpid(), signal.SIGKILL)


@recovers
def crashed():
    os.kill(os.getpid(), signal.SIGSEGV)


# Exits


@recovers
def exit_in_the_request():
    sys.exit(5)


@recovers
def exit_in_a_callback():
    asyncio.get_running_loop().call_soon(sys.exit, 5)


@recovers
def exit_with_a_thread_that_never_ends():
    a_thread_that_never_ends()
    sys.exit(5)


@recovers
def exit_with_an_exit_handler_that_hangs():
    atexit.register(time.sleep, 60)
    sys.exit(5)


@recovers
def exit_at_once():
    os._exit(5)


@recovers
def exit_in_a_signal_handler():
    signal.signal(signal.SIGALRM, sys.exit)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    time.sleep(0.2)
