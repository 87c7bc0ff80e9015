"""`sam local`, AWS's own front doors around AWS's own emulator: a judge of the templates shown."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import docker
import httpx
import pytest
from docker.errors import ImageNotFound

import lamella
from lamella.testing import events
from lamella.types import Event
from layer.build import ROOT
from tests.contract.__main__ import run
from tests.contract.checks import ENCODED, WHOLE, Target
from tests.contract.frameworks import HttpClient
from tests.contract.frameworks import run as run_row
from tests.docker import engine, standin
from tests.e2e.packages import USUAL, installed
from tests.events import SQS_EVENT, URL, http_event, url_event
from tests.matrix.frameworks import FRAMEWORKS
from tests.ports import free_port

SAM = Path(os.environ.get("LAMELLA_SAM_VENV") or ROOT / ".venv-sam") / "bin" / "sam"
# What the image that the SAM CLI builds on ours needs, and ours lacks.
TOOLS = ("cat", "chmod", "cp", "ln", "ls", "mkdir", "mv", "rm")
ARCHITECTURE = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
BUFFERED = {"Parameters": {"ASGI_INVOKE_MODE": "buffered"}}
"""`sam local` takes no streamed answer, as docs/deploy/sam.md says."""

LAYER = f"arn:aws:lambda:eu-west-1:123456789012:layer:lamella-{os.getpid()}:1"
"""A published layer, so to speak: the SAM CLI finds it in its cache, and does not ask AWS.

The SAM CLI names its image by the layer's name, so this process has an image of its own.
"""
CACHED = f"lamella-{os.getpid()}-1-{hashlib.sha256(LAYER.encode()).hexdigest()[:10]}"
LAYER_IMAGE = (
    f"samcli/lambda-python:{USUAL.minor}-{ARCHITECTURE}"
    f"-{hashlib.sha256(CACHED.encode()).hexdigest()[:25]}"
)

APP = """
import json

async def app(scope, receive, send):
    if scope["type"] != "http":
        raise ValueError("only HTTP")
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message["body"], message.get("more_body", False)
    headers = [(b"set-cookie", b"first=1"), (b"set-cookie", b"second=2; Path=/")]
    sent = dict(scope["headers"])
    if scope["path"] == "/binary":
        headers.append((b"content-type", b"application/octet-stream"))
        answer = bytes(range(256)) + body
    else:
        headers.append((b"content-type", b"application/json"))
        seen = {"path": scope["path"], "query": scope["query_string"].decode()}
        seen |= {"cookie": sent.get(b"cookie", b"").decode(), "method": scope["method"]}
        answer = json.dumps(seen | {"body": body.decode()}).encode()
    await send({"type": "http.response.start", "status": 201, "headers": headers})
    await send({"type": "http.response.body", "body": answer})
"""

pytestmark = pytest.mark.skipif(not SAM.exists(), reason="there is no SAM CLI: make sam")


@pytest.fixture(scope="session")
def base(client: docker.DockerClient) -> Iterator[str]:
    """An image that stands for AWS's base image. What the SAM CLI adds the layer to is removed."""
    yield engine.build(client, f"lamella-sam-{USUAL.minor}", standin.entries(USUAL, TOOLS))
    with suppress(ImageNotFound):  # no template with the layer was tried
        client.images.remove(LAYER_IMAGE, force=True)


def new_project(folder: Path, opt: Path, base: str) -> Path:
    """A folder with what `sam local` is told of: the layer, the image, the variables."""
    (folder / "cache").mkdir()
    (folder / "cache" / CACHED).symlink_to(opt)
    (folder / "image").write_text(base)
    (folder / "buffered.json").write_text(json.dumps(BUFFERED))
    return folder


@pytest.fixture
def project(tmp_path: Path, opt: Path, base: str) -> Path:
    """A project with an application in app."""
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "main.py").write_text(APP)
    return new_project(tmp_path, opt, base)


def write(project: Path, text: str) -> None:
    """Write the template, for this machine's Python and processor."""
    text = text.replace("python3.13", f"python{USUAL.minor}").replace("arm64", ARCHITECTURE)
    (project / "template.yaml").write_text(text)


def sam_local(project: Path, *words: str) -> list[str]:
    """The command line; no word of it asks AWS or a registry for anything."""
    image = (project / "image").read_text()
    local = ["--skip-pull-image", "--invoke-image", image, "--env-vars", "buffered.json"]
    local += ["--layer-cache-basedir", str(project / "cache"), "--region", "eu-west-1"]
    local += ["--parameter-overrides", f"LamellaLayerArn={LAYER}"]
    return [str(SAM), "local", *words, *local]


def environ(project: Path) -> dict[str, str]:
    """Without credentials, and without a word to AWS."""
    own = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    return own | {"HOME": str(project), "SAM_CLI_TELEMETRY": "0"}


@contextmanager
def serving(project: Path, what: str, fails: bool = False) -> Iterator[httpx.Client]:
    """Run `sam local start-api` or `start-lambda`, whose containers stay between requests.

    `fails`: the application raises what is to be seen in the log.
    """
    port, log = free_port(), project / "log"
    words = [what, "--port", str(port), "--warm-containers", "LAZY"]
    with log.open("w") as output:
        process = subprocess.Popen(
            sam_local(project, *words),
            cwd=project,
            env=environ(project),
            stdout=output,
            stderr=output,
            process_group=0,
        )
    try:
        end = time.monotonic() + 120
        while "Running on" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.1)
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as http:
            yield http
        said = log.read_text()
        assert "Asking again" not in said, "a connection that is closed while idle is no fault"
        assert fails or "Traceback" not in said, said
    finally:
        process.terminate()  # it removes its containers; a background job's SIGINT is ignored
        try:
            process.wait(60)
        finally:
            process.kill()


def invoke(http: httpx.Client, function: str, event: Event) -> Any:
    """By the Invoke API of `start-lambda`."""
    reply = http.post(f"/2015-03-31/functions/{function}/invocations", json=event)
    assert reply.content, "the function did not start; its log says why"
    return reply.json()


@pytest.mark.parametrize("door", ["http-api", "rest-api"])
def test_the_front_doors_of_the_templates(project: Path, door: str) -> None:
    write(project, (ROOT / "examples" / "deploy" / "sam" / f"{door}.yaml").read_text())
    with serving(project, "start-api") as http:
        reply = http.get("/items/a%20b", params={"q": "a b&é"}, headers={"cookie": "mine=1; x=2"})
        assert reply.status_code == 201
        assert reply.json() == {
            "path": "/items/a b",
            "query": "q=a%20b%26%C3%A9" if door == "rest-api" else "q=a+b%26%C3%A9",
            "cookie": "mine=1; x=2",
            "method": "GET",
            "body": "",
        }
        assert sorted(reply.headers.get_list("set-cookie")) == ["first=1", "second=2; Path=/"]
        assert http.put("/", content="é").json()["body"] == "é"
        # What SAM plays of an HTTP API refuses a body that is no UTF-8.
        body = b"text" if door == "http-api" else bytes(range(255, -1, -1))
        kind = {"content-type": "application/octet-stream"}
        answer = http.post("/binary", content=body, headers=kind).content
        assert answer == bytes(range(256)) + body


# SAM's HTTP API takes every body for a text. Of an event over 6 MB it sends the beginning, and what
# the runtime says of that is a 200.
@pytest.mark.parametrize(
    ("door", "max_request", "broken"),
    [("rest-api", ENCODED, set()), ("http-api", WHOLE, {"bodies", "large requests"})],
)
def test_the_contract(project: Path, door: str, max_request: int, broken: set[str]) -> None:
    shutil.copytree(ROOT / "tests" / "contract" / "function", project / "app", dirs_exist_ok=True)
    write(project, (ROOT / "examples" / "deploy" / "sam" / f"{door}.yaml").read_text())
    with serving(project, "start-api", fails=True) as http:
        target = Target(
            str(http.base_url).rstrip("/"),
            streams=False,
            background=False,
            root_path=None,
            max_request=max_request,
            max_answer=WHOLE,
            challenge="",
        )
        results = run(target)
    failed = {name: why for name, why in results.items() if why}
    assert failed.keys() == broken, failed


ROWS = {each.name: each for each in FRAMEWORKS}


@pytest.mark.parametrize("name", ["fastapi", "django", "mcp"])
def test_a_framework_s_row(project: Path, name: str) -> None:
    """One with lifespan, one without, and MCP, on SAM's REST API."""
    shutil.rmtree(project / "app")
    shutil.copytree(ROWS[name].folder, project / "app")
    packages = installed(USUAL, f"matrix-{name}", *ROWS[name].requirements)
    shutil.copytree(packages, project / "app", dirs_exist_ok=True)
    write(project, (ROOT / "examples" / "deploy" / "sam" / "rest-api.yaml").read_text())
    with serving(project, "start-api", fails=True) as http:
        client = HttpClient(str(http.base_url), streamed=False)
        results = asyncio.run(run_row(client, ROWS[name]))
    assert results == dict.fromkeys(results, "")
    assert {"JSON", "error", "SSE", "background", "base path"} <= results.keys()


def test_the_one_line_of_the_readme_in_two_functions(project: Path) -> None:
    """By Invoke: `sam local` has no Function URL."""
    (text,) = re.findall(
        r"```yaml\n(# template\.yaml\n.*?)```", (ROOT / "README.md").read_text(), re.S
    )
    function = text[text.index("  Function:\n") : text.index("Outputs:\n")]
    other = function.replace("  Function:\n", "  Other:\n").replace("CodeUri: .", "CodeUri: other")
    write(
        project,
        text.replace("CodeUri: .", "CodeUri: app").replace("Outputs:\n", f"{other}Outputs:\n"),
    )
    package = Path(lamella.__file__).parent
    shutil.copytree(package, project / "app" / "lamella")
    shutil.copytree(project / "app", project / "other")
    (project / "other" / "main.py").write_text(APP.replace("201", "202"))
    with serving(project, "start-lambda") as http:
        for name, status in (("Function", 201), ("Other", 202), ("Function", 201)):
            result = invoke(http, name, url_event("/hello"))
            assert (result["statusCode"], json.loads(result["body"])["path"]) == (status, "/hello")
            assert result["cookies"] == ["first=1", "second=2; Path=/"]
    (project / "event.json").write_text(json.dumps(SQS_EVENT))
    done = subprocess.run(
        sam_local(project, "invoke", "Function", "--event", "event.json"),
        cwd=project,
        env=environ(project),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(json.loads(done.stdout)["body"]) == SQS_EVENT


WITH_LAYER = {"LamellaLayerArn": LAYER}
WITH_SECRET = {**WITH_LAYER, "SecretKey": "a-secret"}


class Example(NamedTuple):
    """What an example is sent, what it answers or (a text) what is in that, its parameters."""

    event: Event
    answer: Any
    parameters: Mapping[str, str] = WITH_LAYER


HELLO = (url_event("/json"), {"hello": "wörld"})
ORDERS = events.sqs(bodies=['{"item": "tea", "quantity": 2}', '{"item": "tea", "quantity": 101}'])
TOO_MANY = {"batchItemFailures": [{"itemIdentifier": ORDERS["Records"][1]["messageId"]}]}
RUN: dict[str, Any] = {
    "threadId": "t",
    "runId": "r",
    "messages": [{"id": "1", "role": "user", "content": "Rome"}],
    "state": {},
    "tools": [],
    "context": [],
    "forwardedProps": {},
}
POSTED_RUN = url_event(
    "/agent", method="POST", body=json.dumps(RUN), content_type="application/json"
)

EXAMPLES = {
    "fastapi": Example(*HELLO),
    "starlette": Example(*HELLO),
    "litestar": Example(*HELLO),
    "falcon": Example(*HELLO),
    "flask": Example(*HELLO, WITH_SECRET),
    "quart": Example(*HELLO, WITH_SECRET),
    "django": Example(*HELLO, {**WITH_SECRET, "AllowedHosts": f"shop.example,{URL}"}),
    "chat": Example(http_event("/"), "wss://WebSocketApi.execute-api.eu-west-1."),
    "events": Example(ORDERS, TOO_MANY),
    "agent": Example(POSTED_RUN, "RUN_FINISHED", {}),
}


@pytest.fixture(scope="module")
def examples(
    tmp_path_factory: pytest.TempPathFactory, opt: Path, base: str
) -> Iterator[tuple[Path, httpx.Client]]:
    """All examples in one process: nested applications of one template, each in its folder."""
    project = new_project(tmp_path_factory.mktemp("examples"), opt, base)
    nested = {}
    for name, example in EXAMPLES.items():
        shutil.copytree(ROOT / "examples" / name, project / name)
        write(project / name, (project / name / "template.yaml").read_text())
        place = {"Location": f"{name}/template.yaml", "Parameters": example.parameters}
        nested[name] = {"Type": "AWS::Serverless::Application", "Properties": place}
    template = {"Transform": "AWS::Serverless-2016-10-31", "Resources": nested}
    write(project, json.dumps(template))
    with serving(project, "start-lambda", fails=True) as http:
        yield project, http


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_examples_by_their_own_templates(
    examples: tuple[Path, httpx.Client], name: str
) -> None:
    """Ten in about 30 seconds: each is a container and the cold start of a framework."""
    project, http = examples
    code = project / name
    requirements = {*(code / "requirements.txt").read_text().split()}
    packages = installed(USUAL, f"sam-{name}", *sorted(requirements - {"lamella"}))
    shutil.copytree(packages, code, dirs_exist_ok=True)
    if "lamella" in requirements:
        shutil.copytree(Path(lamella.__file__).parent, code / "lamella")
    result = invoke(http, f"{name}/Function", EXAMPLES[name].event)
    assert "errorType" not in result, (project / "log").read_text()
    answer, expected = result.get("body", ""), EXAMPLES[name].answer
    if isinstance(expected, str):
        assert expected in answer
    else:
        assert (json.loads(answer) if answer else result) == expected
