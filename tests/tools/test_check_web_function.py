"""`lamella check --web-function`: what would break where Lambda itself runs the application."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.tools.functions import APP, lamella, write

TEMPLATE = """
Resources:
  Function:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: task
      Handler: lamella.serve.main:app
"""


def findings(folder: Path, *options: object) -> dict[str, list[dict[str, Any]]]:
    """The findings by check."""
    found: dict[str, list[dict[str, Any]]] = {}
    for each in lamella("check", folder, "--web-function", "--json", *options).json["findings"]:
        found.setdefault(each["check"], []).append(each)
    return found


def test_an_application_that_runs_on_both(tmp_path: Path) -> None:
    write(tmp_path / "task")
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    done = lamella("check", tmp_path / "task", "--web-function", "--strict")
    assert done.status == 0, done.output
    found = findings(tmp_path / "task")
    assert found["entry point"][0]["message"] == "Both load main:app."
    assert "of the 10 s in which a Web Function must listen" in found["init"][0]["message"]
    assert {"size", "application", "lifespan"} < found.keys()
    assert not {"template", "layers", "shared state"} & found.keys()


@pytest.mark.parametrize(
    ("options", "level", "message"),
    [
        (("--app", "api:app"), "problem", "set AWS_LAMBDA_PYTHON_ENTRYPOINT=api:app"),
        (("--env", "AWS_LAMBDA_PYTHON_ENTRYPOINT=asgi:api:app"), "ok", "Both load api:app."),
        (
            ("--env", "AWS_LAMBDA_PYTHON_ENTRYPOINT=api:create_app()"), "warning",
            "write app = create_app() in a module",
        ),
    ],
)  # fmt: skip
def test_the_entry_point(
    tmp_path: Path, options: tuple[str, ...], level: str, message: str
) -> None:
    write(tmp_path, {"api.py": f"{APP}\ndef create_app():\n    return app\n"})
    (found,) = findings(tmp_path, *options)["entry point"]
    assert found["level"] == level
    assert message in found["message"]


def test_wheels_must_be_for_arm64(tmp_path: Path) -> None:
    write(tmp_path, {"fast.cpython-313-x86_64-linux-gnu.so": "", "main.py": APP})
    messages = [each["message"] for each in findings(tmp_path)["native modules"]]
    assert any("for x86_64, and the function is arm64" in message for message in messages)


def test_what_surrounds_the_function(tmp_path: Path) -> None:
    """Each thing that a Web Function cannot have is a problem that names it."""
    write(tmp_path / "task")
    (tmp_path / "template.yaml").write_text(f"""{TEMPLATE}
      MemorySize: 4096
      Layers: [arn:one, !Ref Two]
      SnapStart: {{ApplyOn: PublishedVersions}}
      Environment:
        Variables:
          ASGI_EXEC_WRAPPER: /opt/otel-instrument
          ASGI_BASE_PATH: /api
          ASGI_INVOKE_MODE: response_stream
          ASGI_WEBSOCKET_STORE: memory://
      Events:
        Jobs: {{Type: SQS, Properties: {{Queue: !GetAtt Queue.Arn}}}}
        Root: {{Type: HttpApi}}
""")
    found = findings(tmp_path / "task")
    assert "2 layers besides Lamella's own" in found["layers"][0]["message"]
    assert "4096 MB; a Web Function has 2048 MB" in found["memory"][0]["message"]
    assert found["wrapper"][0]["details"] == {"wrapper": "/opt/otel-instrument"}
    assert "has no SnapStart" in found["template"][0]["message"]
    assert "Jobs invokes the function with events (SQS)" in found["events"][0]["message"]
    assert "Root is an API of API Gateway" in found["events"][1]["message"]
    assert found["websockets"][0]["level"] == "problem"
    assert found["settings"][0]["details"]["names"] == ["ASGI_BASE_PATH", "ASGI_WEBSOCKET_STORE"]


def test_lamellas_own_layer_is_no_loss(tmp_path: Path) -> None:
    write(tmp_path / "task")
    text = TEMPLATE.replace("lamella.serve.main:app", "lamella.handler")
    (tmp_path / "template.yaml").write_text(f"{text}      Layers: [arn:lamella]\n")
    assert "layers" not in findings(tmp_path / "task")


MODULE = """
import lamella
from collections import deque

user = None
jobs = deque()
limits = {"a": 1}


def login(name):
    global user
    user = name


async def request(scope, limits):
    limits["a"] = 2          # the argument, not the module's
    jobs.append(scope["aws.event"])
    found = user
    return found
"""


def test_state_of_a_module_that_requests_would_share(tmp_path: Path) -> None:
    """Of the function's own modules: packages are left to their authors."""
    write(tmp_path, {
        "state.py": MODULE,
        "lib.py": MODULE,
        "lib-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: lib\nVersion: 1\n",
        "lib-1.dist-info/RECORD": "lib.py,,\n",
    })  # fmt: skip
    found = findings(tmp_path)
    assert found["shared state"][0]["details"]["places"] == ["state.py:12 user", "state.py:17 jobs"]
    assert found["invocation"][0]["details"]["places"] == ["state.py:2", "state.py:17"]
