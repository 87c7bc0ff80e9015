"""`lamella run` as a process of its own: start, signals, reload, and each way to fail."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest
from click.testing import CliRunner

from lamella.local.endpoints.server import bound_socket
from lamella.tools.cli import COMMANDS, main
from tests.local.command import LIMIT, Cli, Start, environ
from tests.tools.functions import lamella
from tests.waiting import is_running


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_starts_serves_and_stops_on_a_signal(start: Start, number: signal.Signals) -> None:
    for _ in range(3):  # from SIGTERM to SIGKILL is half a second: on a busy machine not enough
        cli = start("--env", "FAKE_EXTENSION=yes", "--try", "/hello")
        url = cli.url()
        cli.line(f"curl -iN {url}/hello")
        pid = httpx.post(url, json={"do": "echo"}, timeout=LIMIT).json()["pid"]
        assert cli.end(number) == 0
        assert not is_running(pid)
        if cli.line_within("got SIGTERM", 1.0):
            return
    pytest.fail("the extension was never told of the end")


def test_ctrl_c_ends_a_request_in_flight(start: Start) -> None:
    cli = start("--timeout", "60")
    url = cli.url()

    def ask() -> None:
        with contextlib.suppress(httpx.HTTPError):
            httpx.post(url, json={"do": "sleep", "seconds": 60}, timeout=LIMIT)

    asking = threading.Thread(target=ask)
    asking.start()
    cli.line("^event sleep")
    assert cli.end(signal.SIGINT) == 0
    asking.join(LIMIT)
    assert not asking.is_alive()


def test_even_a_killed_lamella_leaves_no_frozen_process_behind(start: Start) -> None:
    cli = start()
    pid = httpx.post(cli.url(), json={"do": "echo"}, timeout=LIMIT).json()["pid"]
    cli.line("^POST / 200 ")
    cli.end(signal.SIGKILL)
    end = time.monotonic() + LIMIT
    while is_running(pid):
        assert time.monotonic() < end
        time.sleep(0.05)


def test_the_function_is_configured_for_the_layer(start: Start, wrapper: Path) -> None:
    cli = start("--env", "MINE=a=b", "--memory", "256", "--timeout", "7")
    variables = environ(cli.url())
    assert variables["AWS_LAMBDA_EXEC_WRAPPER"] == str(wrapper)
    assert variables["ASGI_APP"] == "pkg.app:app"
    assert variables["ASGI_INVOKE_MODE"] == "response_stream"
    assert variables["MINE"] == "a=b"
    assert variables["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"


def test_variables_come_from_files_and_options_and_not_from_the_shell(
    tmp_path: Path, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_DATABASE", "postgresql:///shell")
    monkeypatch.setenv("SHOP_MAIL", "smtp://shell")
    monkeypatch.setenv("SHOP_UNUSED", "x")
    (tmp_path / ".env").write_text(
        "# a comment\nONE=1\nexport TWO=\"two\\nlines\"\nQUOTED='#$x' # another\n"
        "PLAIN=x y # z\nSHOP_MAIL=file\n"
    )
    code = tmp_path / "task"
    code.mkdir()
    (code / "settings.py").write_text(
        "class Settings(pydantic_settings.BaseSettings):\n    shop_database: str\n"
        "mail = os.environ['SHOP_MAIL']\n"
    )
    cli = start("--env-file", ".env", "--env", "ONE=9", "--task-root", str(code))
    cli.line("^SHOP_DATABASE: set in your shell, and not passed on .* SHOP_DATABASE=")
    variables = environ(cli.url())
    expected = {"ONE": "9", "TWO": "two\nlines", "QUOTED": "#$x", "PLAIN": "x y"}
    expected["SHOP_MAIL"] = "file"
    assert expected.items() <= variables.items()
    assert not {"SHOP_DATABASE", "SHOP_UNUSED"} & variables.keys()


def test_code_that_changed_after_lamella_compile_is_named(tmp_path: Path, start: Start) -> None:
    """Python runs the old bytecode, so the developer's change is without effect."""
    code = tmp_path / "task"
    code.mkdir()
    (code / "same.py").write_text("NUMBER = 1\n")
    (code / "prices.py").write_text("NUMBER = 1\n")
    assert lamella("compile", code, "--python", sys.executable, "--no-measure").status == 0
    (code / "prices.py").write_text("NUMBER = 2\n")
    cli = start("--task-root", str(code))
    cli.line(rf"^sources changed after lamella compile \(prices\.py; 1 in all\): .*{code} again")
    assert lamella("compile", code, "--python", sys.executable, "--no-measure").status == 0
    again = start("--task-root", str(code))
    again.url()
    assert not any("lamella compile" in line for line in again.seen)


def test_what_the_function_may_not_do_on_lambda_it_may_not_do_here(
    tmp_path: Path, start: Start
) -> None:
    path = str(tmp_path / "written")
    strict = start()
    url = strict.url()
    said = httpx.post(url, json={"do": "write", "paths": [path]}, timeout=LIMIT).json()
    if not any("not enforced on this machine" in line for line in strict.seen):
        assert said["said"] == {path: "Read-only file system"}
    assert said["descriptors"] == 1024
    loose = start("--no-limits")
    loose.line("^--no-limits: files can be written, and memory is not limited")
    assert not [line for line in (*strict.seen, *loose.seen) if "/opt" in line], "nothing needs it"
    said = httpx.post(loose.url(), json={"do": "write", "paths": [path]}, timeout=LIMIT).json()
    assert said["said"] == {path: ""}


def test_layers_that_are_not_at_opt_are_told_of_where_a_variable_leads_there(start: Start) -> None:
    cli = start("--no-limits", "--env", "ASGI_EXEC_WRAPPER=/opt/otel-instrument")
    cli.line(
        "^the layers are not at /opt here: the limits are off, which bring them there: start "
        "without --no-limits$"
    )


@pytest.mark.parametrize(
    ("arguments", "end", "status"),
    [
        (["--front-door", "rest", "--stage", "v1", "--stream"], "/v1", 200),
        (["--front-door", "http", "--stage", "dev", "--base", "shop"], "/shop/dev", 200),
        (["--front-door", "alb-multi-value"], "", 200),
        (["--front-door", "http-v1", "--stage", "dev"], "/dev", 200),
        (["--front-door", "lattice"], "", 200),
    ],
)
def test_front_doors_and_their_options(
    start: Start, arguments: list[str], end: str, status: int
) -> None:
    url = start(*arguments).url()
    assert httpx.URL(url).path.rstrip("/") == end
    wish = {"do": "stream", "prelude": {"statusCode": 200}}
    if "--stream" not in arguments:
        wish = {"do": "result", "result": {"statusCode": 200}}
    assert httpx.post(url, json=wish, timeout=LIMIT).status_code == status


def test_managed_instances(tmp_path: Path, start: Start) -> None:
    cli = start("--managed", "2", "--no-reload")
    url = cli.url()
    assert environ(url)["AWS_LAMBDA_MAX_CONCURRENCY"] == "2"
    with ThreadPoolExecutor() as threads:
        wish = {"do": "hold", "until": "go", "result": {"statusCode": 200}}
        asked = [threads.submit(httpx.post, url, json=wish, timeout=LIMIT) for _ in range(2)]
        for _ in asked:
            cli.line("^event hold")
        assert httpx.post(url, json=wish, timeout=LIMIT).status_code == 429
        (tmp_path / "go").touch()
    assert [got.result().status_code for got in asked] == [200, 200]
    cli.line(r"^POST / 429 .*  no environment is free: all 2 slots")


def test_each_request_is_one_line(start: Start) -> None:
    cli = start()
    url = cli.url()
    httpx.post(f"{url}/first?q=%C3%B6", json={"do": "echo"}, timeout=LIMIT)
    cli.line(r"^POST /first\?q=%C3%B6 200 [\d.]+ ms \d+ B  cold \d+ ms(, background \d+ ms)?$")
    stream = {"do": "stream", "prelude": {"statusCode": 201}, "chunks": ["ab", "c"]}
    httpx.post(url, json=stream, timeout=LIMIT)
    cli.line(r"^POST / 201 [\d.]+ ms 3 B  streamed(, background \d+ ms)?$")
    httpx.post(url, json={"do": "late", "seconds": 1}, timeout=LIMIT)
    cli.line(r"^POST / 200 [\d.]+ ms 7 B  background \d{3,} ms$")
    httpx.post(url, json={"do": "crash"}, timeout=LIMIT)
    cli.line(r"^POST / 502 .*  the function failed: Runtime.ExitError: Runtime exited with error")
    assert not any(re.search("START|END|REPORT|\x1b", line) for line in cli.seen), cli.seen


def test_lambda_logs_are_the_log_as_on_cloudwatch(start: Start) -> None:
    cli = start("--lambda-logs")
    httpx.post(cli.url(), json={"do": "echo"}, timeout=LIMIT)
    for line in ("INIT_START", "START RequestId: ", "END RequestId: ", "REPORT RequestId: "):
        assert any(each.startswith(line) for each in cli.seen) or cli.line(f"^{line}")
    cli.line("^POST / 200 ")


def test_snap_start(start: Start) -> None:
    cli = start("--snap-start", "--lambda-logs")
    cli.line("^RESTORE_START")
    assert environ(cli.url())["AWS_LAMBDA_INITIALIZATION_TYPE"] == "snap-start"
    assert cli.end(signal.SIGTERM) == 0


@pytest.mark.parametrize(
    ("door", "words"), [("rest", "an API Gateway REST API"), ("url", "a Lambda Function URL")]
)
def test_the_welcome_names_the_source(start: Start, door: str, words: str) -> None:
    start("--front-door", door).line(f"^pkg.app:app behind {words}, ")


def test_the_lines_to_try_are_of_routes_that_the_application_has(
    tmp_path: Path, start: Start
) -> None:
    code = tmp_path / "task" / "pkg"
    code.mkdir(parents=True)
    (code / "app.py").write_text(
        """
@app.get("/items/{item_id}")
async def item(item_id: int): ...

@app.post("/upload")
async def upload(file: UploadFile): ...

@router.get("/whose/prefix/is/elsewhere")
async def other(): ...

@app.post("/items")
async def new_item(item: Item): ...

@app.get("/health")
async def health(): ...
"""
    )
    cli = start("--task-root", str(tmp_path / "task"))
    url = cli.url()
    cli.line("watching")
    cli.line(f"^  curl -iN {url}/health$")
    cli.line(f"^  curl -iN {url}/items/1$")
    cli.line(f"^  curl -i -H 'content-type: application/json' -d '{{}}' {url}/items$")


def test_a_layer_can_be_a_zip(tmp_path: Path, wrapper: Path, start: Start) -> None:
    archive = tmp_path / "dist" / "lamella-layer.zip"
    archive.parent.mkdir()
    with zipfile.ZipFile(archive, "w") as layer:
        entry = zipfile.ZipInfo("bootstrap", date_time=(1980, 1, 1, 0, 0, 0))
        entry.external_attr = 0o755 << 16
        layer.writestr(entry, wrapper.read_text())
    cli = Cli("run", "pkg.app:app", "--port", "0", cwd=tmp_path)
    try:
        assert httpx.post(cli.url(), json={"do": "echo"}, timeout=LIMIT).status_code == 200
    finally:
        cli.close()


def test_a_template_and_a_watched_folder_reload_and_a_log_does_not(
    tmp_path: Path, start: Start
) -> None:
    code, more = tmp_path / "task", tmp_path / "more"
    code.mkdir()
    more.mkdir()
    cli = start("--task-root", str(code), "--watch", str(more))
    url = cli.url()
    cli.line("^watching task, more for changes$")
    pids = [httpx.post(url, json={"do": "echo"}, timeout=LIMIT).json()["pid"]]
    for changed in (code / "page.html", more / "anything"):
        for attempt in range(20):  # the watcher may not have looked for the first time yet
            (code / "app.log").write_text(f"{attempt}")
            changed.write_text(f"{attempt}")
            name = str(changed.relative_to(tmp_path))
            if cli.line_within(rf"^{name} changed: the function starts anew$", 1):
                break
        pids.append(httpx.post(url, json={"do": "echo"}, timeout=LIMIT).json()["pid"])
    assert len(set(pids)) == 3
    assert not any("app.log" in line for line in cli.seen)


def test_a_change_of_the_code_brings_a_new_environment(tmp_path: Path, start: Start) -> None:
    code = tmp_path / "task"
    code.mkdir()
    cli = start("--task-root", str(code))
    url = cli.url()
    cli.line("^watching task for changes$")
    first = httpx.post(url, json={"do": "echo"}, timeout=LIMIT).json()["pid"]
    (code / "data.log").write_text("the function's own files change nothing\n")
    for attempt in range(20):  # the watcher may not have looked for the first time yet
        (code / "app.py").write_text(f"changed = {attempt}\n")
        if cli.line_within(r"^task/app\.py changed", 1):
            break
    assert httpx.post(url, json={"do": "echo"}, timeout=LIMIT).json()["pid"] != first


def test_the_next_request_has_the_new_code_however_soon_it_comes(
    tmp_path: Path, start: Start
) -> None:
    code = tmp_path / "task"
    code.mkdir()
    url = start("--task-root", str(code)).url()
    pids = set()
    for attempt in range(4):
        (code / "app.py").write_text(f"changed = {attempt}\n")
        pids.add(httpx.post(url, json={"do": "echo"}, timeout=LIMIT).json()["pid"])
    assert len(pids) == 4


# Errors: one message, exit code 1, no traceback


def failing(*arguments: str) -> str:
    done = CliRunner().invoke(main, ["run", "pkg.app:app", *arguments])
    assert done.exit_code == 1, done.output
    assert done.output.startswith("Error: ")
    assert "Traceback" not in done.output
    return done.output


@pytest.fixture
def layer(wrapper: Path) -> list[str]:
    return ["--layer", str(wrapper.parent)]


def test_a_port_in_use(layer: list[str]) -> None:
    with bound_socket(0) as taken:
        port = taken.getsockname()[1]
        message = failing(*layer, "--port", str(port))
    listens = f"cannot listen on 127.0.0.1:{port} (Address already in use): end the program that"
    assert listens in message
    assert "choose another --port" in message


def test_no_layer_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    message = failing()
    assert "The package lamella-layer, which holds Lamella's layer, is not installed" in message
    assert 'pip install "lamella[local]", or name the layer with --layer FILE' in message
    assert "In a checkout of Lamella, `make layer` builds dist/lamella-layer.zip" in message
    assert "nowhere.zip does not exist" in failing("--layer", "nowhere.zip")


def test_a_layer_that_is_none(tmp_path: Path) -> None:
    file = tmp_path / "layer.zip"
    file.write_text("no zip")
    assert "is no usable layer: File is not a zip file" in failing("--layer", str(file))
    assert "no file `bootstrap`" in failing("--layer", str(tmp_path))


def test_a_task_root_an_interpreter_and_a_variable_that_are_none(layer: list[str]) -> None:
    assert "is not a directory" in failing(*layer, "--task-root", "/no/such/place")
    assert "which a function finds empty: move it" in failing(*layer, "--task-root", "/tmp")
    assert "is no executable file" in failing(*layer, "--python", "/no/such/python")
    assert "does not run" in failing(*layer, "--python", "false")
    assert "not of the form NAME=VALUE" in failing(*layer, "--env", "ALONE")
    for name in ("A", "A_B ", "A-B", "1A", "_A", "GRÖSSE"):
        said = f"--env or --env-file has a variable {name!r}, which Lambda refuses: a name has"
        assert said in failing(*layer, "--env", f"{name}=1")


@pytest.mark.parametrize("app", ["main", "main.py", "./main.py", "main.app", "main/app"])
def test_an_application_without_a_colon(app: str) -> None:
    done = CliRunner().invoke(main, ["run", app])
    assert done.exit_code == 2
    assert f"{app!r} has no colon: write MODULE:NAME, such as main:app" in done.output


def test_a_module_in_another_folder(start: Start, tmp_path: Path) -> None:
    package = tmp_path / "src" / "shop"
    package.mkdir(parents=True)
    (package / "main.py").write_text("")
    cli = start("--env", "FAKE_INIT=folder")
    cli.line(r"^shop is in src: start with --task-root src \(a template: CodeUri: src\)")


def test_a_file_that_cannot_be_written_in_startup(start: Start) -> None:
    cli = start("--env", "FAKE_INIT=sqlite")
    cli.line("^Only /tmp can be written on Lambda. Write to /tmp what may be lost")


def test_a_file_of_variables_that_cannot_be_read(layer: list[str], tmp_path: Path) -> None:
    file = tmp_path / ".env"
    for text in ("A=1\nALONE", "A=1\nB='open"):
        file.write_text(text)
        assert f"--env-file {file}, line 2: " in failing(*layer, "--env-file", str(file))
    assert "cannot be read" in failing(*layer, "--env-file", str(tmp_path / "none"))
    file.write_text("KEY=a\0b")
    assert "has a NUL character in its variable KEY" in failing(*layer, "--env-file", str(file))
    file.write_bytes("A=café".encode("latin-1"))
    assert "save it as UTF-8" in failing(*layer, "--env-file", str(file))


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("error", "the function does not start: ImportError: no such app (exit code 3)"),
        ("exit", "Runtime.ExitError: Runtime exited with error: exit status 4"),
    ],
)
def test_an_init_error(start: Start, fault: str, message: str) -> None:
    cli = start("--env", f"FAKE_INIT={fault}")
    cli.line("^Error: .*" + re.escape(message))
    assert cli.process.wait(LIMIT) == 1


def test_a_missing_module_names_the_interpreter_and_the_folder(
    start: Start, tmp_path: Path
) -> None:
    cli = start("--env", "FAKE_INIT=module")
    cli.line("^Error: .*No module named 'shop'")
    cli.line(rf"^The function runs on {re.escape(sys.executable)}, and its code is in {tmp_path}")
    cli.line("If the module's package is not installed for that Python: pip install,")
    cli.line("--python .venv/bin/python")
    cli.line("--task-root .aws-sam/build/Function")


@pytest.mark.parametrize(
    "arguments",
    [
        ["--stage", "x"],
        ["--front-door", "alb", "--base", "/x"],
        ["--front-door", "http", "--stream"],
        ["--stream", "--front-door", "alb-multi-value"],
    ],
)
def test_options_of_another_front_door(layer: list[str], arguments: list[str]) -> None:
    done = CliRunner().invoke(main, ["run", "a:b", *layer, *arguments])
    assert done.exit_code == 2
    assert "the chosen --front-door has no such option" in done.output


@pytest.mark.parametrize(
    ("option", "value", "advice"),
    [
        ("--port", "99999", "in the range 0<=x<=65535. Give a free port such as 3000, or 0 to"),
        ("--port", "http", "is not a valid integer. Give a free port"),
        ("--timeout", "0", "in the range 0<x<=900. Give seconds, such as 30: Lambda allows 900"),
        ("--timeout", "nan", "Give seconds"),
        ("--memory", "0", "Give megabytes, such as 512"),
        ("--concurrency", "0", "Give a whole number from 1 on"),
        ("--managed", "1.5", "is not a valid integer. Give how many events"),
    ],
)
def test_numbers_that_cannot_be(layer: list[str], option: str, value: str, advice: str) -> None:
    done = CliRunner().invoke(main, ["run", "a:b", *layer, option, value])
    assert done.exit_code == 2
    output = " ".join(done.output.split())
    assert f"Invalid value for '{option}': " in output
    assert advice in output


def test_a_foreign_host_is_refused_unless_it_is_named(start: Start) -> None:
    cli = start("--public-host", "tunnel.example")
    url = cli.url()
    for host in ("localhost:3000", "127.0.0.1", "[::1]:1", "shop.localhost", "Tunnel.example:443"):
        assert httpx.get(url, headers={"host": host}, timeout=LIMIT).status_code == 200, host
    refused = httpx.get(url, headers={"host": "rebound.example"}, timeout=LIMIT)
    assert refused.status_code == 403
    assert "--public-host rebound.example" in refused.text
    cli.line("403: lamella run does not answer requests whose Host header is 'rebound.example'")


@pytest.mark.parametrize(
    ("door", "public", "domain"),
    [
        ("http", "api.example.com", "api.example.com"),
        ("http-v1", "api.example.com", "api.example.com"),
        ("rest", "api.example.com", "api.example.com"),
        ("url", "www.example.com", "local00000.lambda-url.us-east-1.on.aws"),
        ("url", "abc.lambda-url.eu-west-1.on.aws", "abc.lambda-url.eu-west-1.on.aws"),
        ("alb", "www.example.com", None),
    ],
)
def test_the_function_sees_the_public_host(
    start: Start, door: str, public: str, domain: str | None
) -> None:
    streams = ["--no-stream"] if door == "url" else []
    url = start("--front-door", door, *streams, "--public-host", public.upper()).url()
    for dialled in ("localhost", "127.0.0.1:3000", public):
        event = httpx.get(url, headers={"host": dialled}, timeout=LIMIT).json()
        headers = {name.lower(): value for name, value in event["headers"].items()}
        assert headers["host"] == public
        assert event["requestContext"].get("domainName") == domain
        assert event["requestContext"].get("domainPrefix") == (domain and domain.split(".")[0])


def test_another_address_than_loopback_comes_with_a_warning(start: Start) -> None:
    cli = start("--host", "0.0.0.0")
    cli.line("--host 0.0.0.0: everybody who reaches this address can use the function")
    url = cli.url()  # on 127.0.0.1
    assert httpx.get(url, headers={"host": "192.0.2.7:3000"}, timeout=LIMIT).status_code == 200
    assert httpx.get(url, headers={"host": "rebound.example"}, timeout=LIMIT).status_code == 403


def test_an_address_that_is_not_this_machine_s(layer: list[str]) -> None:
    message = failing(*layer, "--host", "192.0.2.7")
    assert "cannot listen on 192.0.2.7:3000" in message
    assert "choose another --host or --port" in message


def test_one_kind_of_environment_at_a_time(layer: list[str]) -> None:
    arguments = ["run", "a:b", *layer, "--managed", "4", "--snap-start"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2
    assert "Lambda allows one of the two" in done.output


@pytest.mark.parametrize("name", COMMANDS)
def test_every_subcommand_starts(name: str) -> None:
    done = CliRunner().invoke(main, [name, "--help"])
    assert (done.exit_code, done.output[:6]) == (0, "Usage:")


def test_without_the_extra_the_command_says_what_to_install() -> None:
    source = Path(__file__).resolve().parents[3] / "src"
    done = subprocess.run(
        [sys.executable, "-S", "-m", "lamella.tools", "run", "a:b"],  # -S: no installed packages
        env={**os.environ, "PYTHONPATH": str(source)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert re.match(r"The command `lamella` needs '\w+', which is not installed\.", done.stderr)
    assert done.stderr.rstrip().endswith('pip install "lamella[local]"')
