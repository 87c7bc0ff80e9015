"""`sam local`, AWS's own front doors around AWS's own emulator: a judge of the templates shown."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import httpx
import pytest

import lamella
from layer.build import ROOT
from tests.contract.__main__ import run
from tests.contract.checks import WHOLE, Target
from tests.docker import engine, standin
from tests.e2e.packages import USUAL
from tests.events import SQS_EVENT, url_event
from tests.ports import free_port

SAM = Path(os.environ.get("LAMELLA_SAM_VENV") or ROOT / ".venv-sam") / "bin" / "sam"
# What the image that the SAM CLI builds on ours needs, and ours lacks.
TOOLS = ("cat", "chmod", "cp", "ln", "ls", "mkdir", "mv", "rm")
ARCHITECTURE = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
BUFFERED = {"Parameters": {"ASGI_INVOKE_MODE": "buffered"}}
"""`sam local` takes no streamed answer, as docs/deploy/sam.md says."""

# The layer of this tree, in place of the ARN of a published one.
LAYER = """Resources:
  LamellaLayer:
    Type: AWS::Serverless::LayerVersion
    Properties:
      ContentUri: opt

"""

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

pytestmark = [
    pytest.mark.skipif(not SAM.exists(), reason="there is no SAM CLI: make sam"),
    pytest.mark.timeout(300),  # it builds an image
]


@pytest.fixture(scope="session")
def base(client: docker.DockerClient) -> str:
    """An image that stands for AWS's base image."""
    return engine.build(client, f"lamella-sam-{USUAL.minor}", standin.entries(USUAL, TOOLS))


@pytest.fixture
def project(tmp_path: Path, opt: Path, base: str) -> Path:
    """A folder with what the templates name: the layer in opt, the application in app."""
    (tmp_path / "opt").symlink_to(opt)
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "main.py").write_text(APP)
    (tmp_path / "image").write_text(base)
    (tmp_path / "buffered.json").write_text(json.dumps(BUFFERED))
    return tmp_path


def write(project: Path, text: str) -> None:
    """Write the template, for this machine's Python and processor and with this tree's layer."""
    text = text.replace("python3.13", f"python{USUAL.minor}").replace("arm64", ARCHITECTURE)
    if "!Ref LamellaLayerArn" in text:
        text = text.replace("!Ref LamellaLayerArn", "!Ref LamellaLayer")
        text = text.replace("Resources:\n", LAYER, 1)
    (project / "template.yaml").write_text(text)


def sam_local(project: Path, *words: str) -> list[str]:
    """The command line; no word of it asks AWS or a registry for anything."""
    image = (project / "image").read_text()
    local = ["--skip-pull-image", "--invoke-image", image, "--env-vars", "buffered.json"]
    local += ["--layer-cache-basedir", str(project / "cache"), "--region", "eu-west-1"]
    if "LamellaLayerArn" in (project / "template.yaml").read_text():
        local += ["--parameter-overrides", "LamellaLayerArn=none"]
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
        process.send_signal(signal.SIGINT)  # it removes its containers
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


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


def test_the_contract_behind_a_rest_api(project: Path) -> None:
    shutil.copytree(ROOT / "tests" / "contract" / "function", project / "app", dirs_exist_ok=True)
    write(project, (ROOT / "examples" / "deploy" / "sam" / "rest-api.yaml").read_text())
    with serving(project, "start-api", fails=True) as http:
        target = Target(
            str(http.base_url).rstrip("/"),
            streams=False,
            background=False,
            root_path=None,
            max_answer=WHOLE,
            challenge="",
        )
        results = run(target)
    assert {name: why for name, why in results.items() if why} == {}


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
            path = f"/2015-03-31/functions/{name}/invocations"
            result = http.post(path, json=url_event("/hello")).json()
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
