"""`lamella check`: each thing an init would stumble over, found before the deploy."""

from __future__ import annotations

import importlib.util
import platform
import re
import subprocess
import sys
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lamella.local.machine.limits import Limits
from lamella.tools.check import command, interpreter
from lamella.tools.check import folder as folder_checks
from lamella.tools.check.importtime import slowest, tree
from tests.local.machine.test_limits import namespaces
from tests.tools.functions import APP, RUNTIME, lamella, write


def findings(directory: Path, *options: object, app: str = "main:app") -> dict[str, dict[str, Any]]:
    """The findings by check; the last one where a check has several."""
    done = lamella("check", directory, "--app", app, "--json", *options)
    return {finding["check"]: finding for finding in done.json["findings"]}


def test_a_function_that_is_fine(tmp_path: Path) -> None:
    write(tmp_path)
    done = lamella("check", tmp_path, "--app", "main:app")
    assert done.status == 0, done.output
    assert "problem" not in done.output
    found = findings(tmp_path)
    assert found["application"]["details"]["interface"] == "asgi3"
    assert found["lifespan"]["details"]["supported"]
    assert found["settings"]["details"]["names"] == ["ASGI_APP"]
    assert found["size"]["details"]["function_bytes"] == len(APP)
    assert found["import time"]["details"]["milliseconds"] > 0


def test_nothing_is_written_into_the_function(tmp_path: Path) -> None:
    write(tmp_path, {"pkg/__init__.py": "", "main.py": f"import pkg\n{APP}"})
    before = sorted(tmp_path.rglob("*"))
    findings(tmp_path)
    assert sorted(tmp_path.rglob("*")) == before


FILE = f"lamella-check-{uuid.uuid4()}"

WRITES = f"""
from pathlib import Path

async def app(scope, receive, send):
    await receive()
    try:
        Path(PLACE, {FILE!r}).write_text("")
    except OSError as error:
        await send({{"type": "lifespan.startup.failed", "message": str(error)}})
        return
    await send({{"type": "lifespan.startup.complete"}})
    await receive()
    await send({{"type": "lifespan.shutdown.complete"}})
"""


@namespaces
def test_startup_that_writes_outside_of_tmp_fails_as_on_lambda(tmp_path: Path) -> None:
    write(tmp_path, {"main.py": WRITES.replace("PLACE", '"."')})
    found = findings(tmp_path)
    assert found["lifespan"]["level"] == "problem"
    assert "Read-only file system" in found["lifespan"]["message"]
    assert "Only /tmp can be written on Lambda" in found["lifespan"]["message"]
    assert [each.name for each in tmp_path.iterdir()] == ["main.py"]


@namespaces
def test_startup_may_write_to_a_tmp_of_its_own(tmp_path: Path) -> None:
    write(tmp_path, {"main.py": WRITES.replace("PLACE", '"/tmp"')})
    found = findings(tmp_path)
    assert found["lifespan"]["level"] == "ok"
    assert found["files"]["message"] == "Only /tmp could be written, as on Lambda."
    assert not Path("/tmp", FILE).exists()


def test_code_in_tmp_itself() -> None:
    done = lamella("check", "/tmp")
    assert done.status == 2
    assert "the code is in /tmp itself, which a function finds empty: move it" in done.output


def test_where_files_cannot_be_kept_read_only_the_check_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def without_mounts(limits: Limits) -> tuple[Limits, list[str]]:
        return replace(limits, mounts=False), ["the read-only file system (no namespaces)"]

    monkeypatch.setattr(command, "enforceable", without_mounts)
    found = findings(write(tmp_path))
    assert found["lifespan"]["level"] == "ok"
    message = "Not enforced on this machine: the read-only file system (no namespaces)."
    assert found["files"]["message"] == message


# The application


def test_without_a_name_it_is_main_app(tmp_path: Path) -> None:
    write(tmp_path, {"main.py": APP})
    done = lamella("check", tmp_path, "--json")
    assert "main:app is " in done.output


STARLETTE = """
class Starlette:
    async def __call__(self, scope, receive, send):
        raise KeyError("lifespan")
"""


@pytest.mark.parametrize(
    ("code", "app", "message"),
    [
        (APP, "main", "has no colon"),
        (APP, "mian:app", "there is no module 'mian'"),
        (APP, "main:ap", "has no attribute 'ap'. It has app."),
        (
            "import nowhere",
            "main:app",
            "'nowhere'. The folder holds no packages: check the one that is deployed, such as .aws",
        ),
        ("raise SystemExit(3)", "main:app", "SystemExit: 3"),
        ("import os; os._exit(3)", "main:app", "ended with exit status 3"),
        ("import os; os.abort()", "main:app", "ended by signal 6"),
    ],
)
def test_an_application_that_does_not_import(
    tmp_path: Path, code: str, app: str, message: str
) -> None:
    write(tmp_path, {"main.py": code})
    done = lamella("check", tmp_path, "--app", app, "--json")
    assert done.status == 1
    problems = [each for each in done.json["findings"] if each["level"] == "problem"]
    assert [each["check"] for each in problems] == ["application"]
    assert message in problems[0]["message"]


def test_the_table_shows_the_users_traceback(tmp_path: Path) -> None:
    write(tmp_path, {"main.py": "import broken", "broken.py": "1 / 0"})
    done = lamella("check", tmp_path, "--app", "main:app")
    assert done.status == 1
    assert 'broken.py", line 1' in done.output
    assert "<frozen importlib" not in done.output


def test_packages_of_the_laptop_are_not_the_functions(tmp_path: Path) -> None:
    """pytest is certainly in the environment of this test, and not in the function."""
    write(tmp_path, {"main.py": f"import pytest\n{APP}"})
    assert "No module named 'pytest'" in findings(tmp_path)["application"]["message"]


def test_packages_of_lambdas_runtime_are_let_through(tmp_path: Path) -> None:
    write(tmp_path, {"main.py": f"import awslambdaric\n{APP}"})
    assert findings(tmp_path)["application"]["level"] == "ok"


def test_a_package_of_lambdas_runtime_that_is_not_here_is_only_a_warning(tmp_path: Path) -> None:
    bare = tmp_path / "bare"  # an interpreter without packages: this one may have them all
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(bare)], check=True)
    write(tmp_path / "task", {"main.py": f"import six\n{APP}"})
    found = findings(tmp_path / "task", "--python", bare / "bin" / "python")["application"]
    assert found["level"] == "warning"
    assert "pip install six there" in found["message"]


def test_the_framework_and_its_version(tmp_path: Path) -> None:
    """A package called starlette stands for the real one: the class's ancestry tells."""
    write(
        tmp_path,
        {
            "starlette/__init__.py": "__version__ = '9.9'",
            "starlette/app.py": STARLETTE,
            "main.py": "from starlette.app import Starlette as S\nclass App(S): pass\napp = App()",
        },
    )
    found = findings(tmp_path)
    assert found["application"]["details"]["framework"] == "Starlette"
    assert found["application"]["details"]["version"] == "9.9"
    assert found["lifespan"]["message"] == "Not supported by the application."


def test_a_factory(tmp_path: Path) -> None:
    write(tmp_path, {"main.py": f"{APP}\ndef create_app():\n    return app"})
    assert findings(tmp_path, app="main:create_app()")["application"]["level"] == "ok"


@pytest.mark.parametrize(
    "variable", ["ASGI_INTERFACE=asgi3", "AWS_LAMBDA_PYTHON_ENTRYPOINT=asgi:main:app"]
)
def test_an_interface_that_is_told_is_not_guessed(tmp_path: Path, variable: str) -> None:
    write(tmp_path, {"main.py": "def app(*, odd=None):\n    ..."})
    assert "cannot tell what" in findings(tmp_path, app="main:app")["application"]["message"]
    done = lamella("check", tmp_path, "--json", "--no-lifespan", "--env", variable)
    checks = {each["check"]: each for each in done.json["findings"]}
    assert checks["application"]["details"]["interface"] == "asgi3"


# Lifespan


def test_a_startup_that_fails(tmp_path: Path) -> None:
    failing = """
async def app(scope, receive, send):
    await send({"type": "lifespan.startup.failed", "message": "no database"})
"""
    write(tmp_path, {"main.py": failing})
    found = findings(tmp_path)["lifespan"]
    assert found["level"] == "problem"
    assert "no database" in found["message"]
    assert findings(tmp_path, "--no-lifespan")["lifespan"]["level"] == "ok"
    assert "Off" in findings(tmp_path, "--env", "ASGI_LIFESPAN=off")["lifespan"]["message"]


# Settings


def test_every_wrong_setting_is_named(tmp_path: Path) -> None:
    write(tmp_path)
    wrong = ["--env", "ASGI_INVOKE_MODE=stream", "--env", "ASGI_LIFESPAN=yes"]
    done = lamella("check", tmp_path, "--app", "main:app", *wrong, "--env", "ASGI_LIFESPN=on")
    assert done.status == 1
    text = " ".join(done.output.split())
    assert "ASGI_INVOKE_MODE='stream' is not allowed" in text
    assert "ASGI_LIFESPAN='yes' is not allowed" in text
    assert "ASGI_LIFESPN is not a setting of Lamella. Did you mean ASGI_LIFESPAN?" in text


def test_a_loop_that_the_function_does_not_carry(tmp_path: Path) -> None:
    write(tmp_path)
    found = findings(tmp_path, "--env", "ASGI_LOOP=uvloop")["init"]
    assert found["level"] == "problem"


# The folder


def test_a_module_that_hides_the_standard_library(tmp_path: Path) -> None:
    write(tmp_path, {"secrets.py": "", "queue/__init__.py": ""})
    done = lamella("check", tmp_path, "--app", "main:app")
    assert done.status == 1
    assert "secrets.py hides the standard library's 'secrets'" in " ".join(done.output.split())
    assert "queue/ hides" in done.output


def test_a_folder_without_init_hides_nothing(tmp_path: Path) -> None:
    write(tmp_path, {"email/template.py": ""})
    assert "shadows" not in findings(tmp_path)


def test_a_module_that_a_layer_has_too(tmp_path: Path) -> None:
    write(tmp_path / "task", {"shared.py": ""})
    write(tmp_path / "layer" / "python", {"shared.py": ""})
    found = findings(tmp_path / "task", "--layer", tmp_path / "layer")
    assert "shared is in a layer, too" in found["shadows"]["message"]
    assert found["size"]["details"]["layers_bytes"] > 0


def opentelemetry(version: str) -> dict[str, str]:
    """What pip leaves of opentelemetry-api."""
    metadata = f"Metadata-Version: 2.1\nName: opentelemetry-api\nVersion: {version}\n"
    return {f"opentelemetry_api-{version}.dist-info/METADATA": metadata}


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ({}, ": --layer FILE compares them."),
        (opentelemetry("1.44.0"), ": pin opentelemetry-api==1.44.0."),
        (opentelemetry("1.45.2"), ""),
    ],
)
def test_opentelemetry_in_a_function_is_the_one_of_the_layer(
    tmp_path: Path, layer: dict[str, str], message: str
) -> None:
    """The wrapper script puts the function's folder before the layer's."""
    write(tmp_path / "task", opentelemetry("1.45.2"))
    write(tmp_path / "layer" / "python", layer)
    options: tuple[object, ...] = ("--layer", tmp_path / "layer") if layer else ()
    assert "opentelemetry" not in findings(tmp_path / "task", *options), "no wrapper script"
    options += ("--env", "ASGI_EXEC_WRAPPER=/opt/otel-instrument")
    found = findings(tmp_path / "task", *options)
    assert bool(message) == ("opentelemetry" in found)
    if message:
        assert found["opentelemetry"]["level"] == "warning"
        assert "opentelemetry-api 1.45.2" in found["opentelemetry"]["message"]
        assert found["opentelemetry"]["message"].endswith(message)


def test_a_layer_of_packages_is_importable(tmp_path: Path) -> None:
    write(tmp_path / "layer" / "python", {"helper.py": ""})
    write(tmp_path / "task", {"main.py": f"import helper\n{APP}"})
    assert findings(tmp_path / "task")["application"]["level"] == "problem"
    found = findings(tmp_path / "task", "--layer", tmp_path / "layer")
    assert found["application"]["level"] == "ok"


def test_packages_that_the_layer_makes_needless(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "uvicorn/__init__.py": "",
            "mangum/__init__.py": "",
            "main.py": f"import mangum\n{APP}",
        },
    )
    done = lamella("check", tmp_path, "--app", "main:app", "--json")
    needless = {
        each["details"]["name"]: each["details"]["imported"]
        for each in done.json["findings"]
        if each["check"] == "needless"
    }
    assert needless == {"mangum": True, "uvicorn": False}
    assert done.status == 0
    assert lamella("check", tmp_path, "--app", "main:app", "--strict").status == 1


def test_a_web_server_that_a_dependency_brings_stays(tmp_path: Path) -> None:
    """It is not the application that imports uvicorn: mcp does, and needs it."""
    write(
        tmp_path,
        {
            "uvicorn/__init__.py": "",
            "mcp/__init__.py": "import uvicorn",
            "mcp-1.dist-info/METADATA": "Name: mcp\nVersion: 1\nRequires-Dist: uvicorn>=0.3",
            "mcp-1.dist-info/RECORD": "mcp/__init__.py,,\n",
            "main.py": f"import mcp\n{APP}",
        },
    )
    needless = findings(tmp_path)["needless"]
    assert needless["level"] == "ok"
    assert "it is a dependency of mcp, so it comes along" in needless["message"]


def test_a_function_over_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"model.py": "#" * 3000})
    monkeypatch.setattr(folder_checks, "SIZE_LIMIT", 2000)
    found = findings(tmp_path)["size"]
    assert found["level"] == "problem"
    assert "model.py" in found["message"]


def test_native_modules_of_a_virtual_environment_beside_the_code(tmp_path: Path) -> None:
    packages = ".venv/lib/python3.9/site-packages"
    write(tmp_path, {"main.py": APP, f"{packages}/fast.cpython-39-x86_64-linux-gnu.so": ""})
    assert "native modules" not in findings(tmp_path)


def test_native_modules_of_another_minor(tmp_path: Path) -> None:
    write(tmp_path)
    (tmp_path / f"fast.cpython-36-{platform.machine()}-linux-gnu.so").touch()
    found = findings(tmp_path)["native modules"]
    assert found["level"] == "problem"
    assert "for Python 3.6" in found["message"]


def test_one_native_module_of_another_processor_among_others(tmp_path: Path) -> None:
    minor = RUNTIME.removeprefix("python").replace(".", "")
    other = {"x86_64": "aarch64"}.get(platform.machine(), "x86_64")
    built = [("fast", platform.machine()), ("both", platform.machine()), ("both", other)]
    write(tmp_path)
    for name, machine in built:
        (tmp_path / f"{name}.cpython-{minor}-{machine}-linux-gnu.so").touch()
    assert "native modules" not in findings(tmp_path)
    (tmp_path / f"slow.cpython-{minor}-{other}-linux-gnu.so").touch()
    found = findings(tmp_path)["native modules"]
    assert found["level"] == "warning"
    assert f"(for example slow.cpython-{minor}-{other}-linux-gnu.so)" in found["message"]


def test_sources_that_changed_after_compile(tmp_path: Path) -> None:
    lamella("compile", write(tmp_path), "--no-measure")
    assert findings(tmp_path)["bytecode"]["level"] == "ok"
    write(tmp_path, {"main.py": f"{APP}\nVERSION = 2"})
    found = findings(tmp_path)["bytecode"]
    assert found["level"] == "problem"
    assert "1 of 1 sources changed after lamella compile" in found["message"]
    lamella("compile", tmp_path, "--no-measure")
    assert findings(tmp_path)["bytecode"]["level"] == "ok"


# The template


TEMPLATE = """
Resources:
  Api:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: Api
      Runtime: {runtime}
      Handler: unused
      Layers: [!Ref Lamella]
      Architectures: [{architecture}]
      Environment:
        Variables:
          AWS_LAMBDA_EXEC_WRAPPER: {wrapper}
          ASGI_APP: main:app
          ASGI_LOG_ACCESS: false
          TABLE: !Ref Table
  Other:
    Type: AWS::Serverless::Function
    Properties: {{CodeUri: Other}}
"""
HERE = {"arm64": "arm64", "aarch64": "arm64"}.get(platform.machine(), "x86_64")


def built(folder: Path, **values: str) -> Path:
    """What `sam build` leaves: template.yaml and a folder for each function; returns Api's."""
    known = {"runtime": RUNTIME, "architecture": HERE, "wrapper": "/opt/bootstrap", **values}
    (folder / "template.yaml").write_text(TEMPLATE.format(**known))
    return write(folder / "Api")


def test_the_template_of_sam_build_is_found(tmp_path: Path) -> None:
    done = lamella("check", built(tmp_path), "--json")
    assert done.status == 0, done.output
    report = done.json
    assert report["template"] == str(tmp_path / "template.yaml")
    by_check = {each["check"]: each for each in report["findings"]}
    assert by_check["settings"]["details"]["names"] == ["ASGI_APP", "ASGI_LOG_ACCESS"]
    assert by_check["template"]["details"]["variables"] == ["TABLE"]


def test_a_project_s_root_leads_to_the_function_s_folder(tmp_path: Path) -> None:
    built(tmp_path)
    found = findings(tmp_path)["template"]
    assert found["message"] == (
        "template.yaml here is not of this folder, but of Api, whose code lies elsewhere: "
        f"lamella check {tmp_path / 'Api'}."
    )
    build = tmp_path / ".aws-sam" / "build" / "Api"
    build.mkdir(parents=True)
    assert findings(tmp_path)["template"]["message"].endswith(f"lamella check {build}.")


def test_a_template_that_does_not_lead_to_lamella(tmp_path: Path) -> None:
    done = lamella("check", built(tmp_path, wrapper="/opt/otel"), "--json")
    messages = [each["message"] for each in done.json["findings"] if each["check"] == "template"]
    assert any("AWS_LAMBDA_EXEC_WRAPPER is '/opt/otel'" in message for message in messages)
    assert done.status == 1


BY_PARAMETERS = """
Parameters:
  Stage: {Type: String, Default: dev}
  Wrapper: {Type: String, Default: /opt/bootstrap}
Conditions:
  Streams: !Equals [!Ref Stage, dev]
Globals:
  Function:
    Environment: {Variables: {AWS_LAMBDA_EXEC_WRAPPER: !Ref Wrapper}}
Resources:
  Api:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: Api
      Environment:
        Variables:
          ASGI_BASE_PATH: !Sub "/${Stage}/api"
          ASGI_INVOKE_MODE: !If [Streams, response_stream, !Ref "AWS::NoValue"]
          TABLE: !Sub "${Stage}-${AWS::Region}"
      LAYERS
  Url:
    Type: AWS::Lambda::Url
    Properties: {TargetFunctionArn: !GetAtt Api.Arn, InvokeMode: URL_KIND}
"""


@pytest.mark.parametrize(
    ("stage", "layers", "mode", "problem"),
    [
        ("dev", "Layers: [arn]", "RESPONSE_STREAM", ""),
        ("prod", "Layers: [arn]", "BUFFERED", ""),
        ("prod", "Layers: [arn]", "RESPONSE_STREAM", "ASGI_INVOKE_MODE is not response_stream"),
        ("dev", "Layers: [arn]", "BUFFERED", "has not InvokeMode RESPONSE_STREAM"),
        ("dev", "", "RESPONSE_STREAM", "the function has no Layers"),
    ],
)
def test_a_template_is_read_with_the_defaults_of_its_parameters(
    tmp_path: Path, stage: str, layers: str, mode: str, problem: str
) -> None:
    text = BY_PARAMETERS.replace("Default: dev", f"Default: {stage}")
    (tmp_path / "template.yaml").write_text(
        text.replace("LAYERS", layers).replace("URL_KIND", mode)
    )
    report = lamella("check", write(tmp_path / "Api"), "--no-lifespan", "--json").json
    by_level = {each["level"]: each for each in report["findings"] if each["check"] == "template"}
    assert by_level["warning"]["details"]["variables"] == ["TABLE"]
    assert problem in by_level.get("problem", {"message": ""})["message"]
    assert bool(problem) == ("problem" in by_level)


RAW = """
Resources:
  Api:
    Type: AWS::Lambda::Function
    Properties: {Code: Api, Handler: HANDLER, Layers: [arn], Environment: {Variables: {VARIABLES}}}
  Url:
    Type: AWS::Lambda::Url
    Properties: {TargetFunctionArn: !Ref Api, AuthType: NONE}
  Visit:
    Type: AWS::Lambda::Permission
    Properties:
      {FunctionName: !Ref Api, Action: "lambda:InvokeFunctionUrl", Principal: "*",
       FunctionUrlAuthType: NONE}
"""
INVOKE = """  Invoke:
    Type: AWS::Lambda::Permission
    Properties:
      {FunctionName: !Ref Api, Action: "lambda:InvokeFunction", Principal: "*" MORE}
"""
BOOTSTRAP = "AWS_LAMBDA_EXEC_WRAPPER: /opt/bootstrap"


def raw(
    folder: Path, more: str = "", handler: str = "lamella.handler", variables: str = BOOTSTRAP
) -> list[dict[str, Any]]:
    """The findings about a function of plain CloudFormation that are no praise."""
    text = RAW.replace("HANDLER", handler).replace("VARIABLES", variables)
    (folder / "template.yaml").write_text(text + more)
    report = lamella("check", write(folder / "Api"), "--no-lifespan", "--json").json
    return [each for each in report["findings"] if each["check"] in ("permissions", "handler",
                                                                    "template")]  # fmt: skip


def test_a_public_url_needs_two_permissions(tmp_path: Path) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html: since October 2025."""
    (missing,) = raw(tmp_path)
    assert missing["level"] == "problem"
    assert "Action: lambda:InvokeFunction, Principal: '*'" in missing["message"]
    (forged,) = raw(tmp_path, INVOKE.replace(" MORE", ""))
    assert "Everybody may invoke the function directly" in forged["message"]
    assert not raw(tmp_path, INVOKE.replace(" MORE", ", InvokedViaFunctionUrl: true"))


@pytest.mark.parametrize(
    ("handler", "variables", "message"),
    [
        ("unused", BOOTSTRAP, "The Handler is 'unused', without a dot"),
        ("main.app", f"{BOOTSTRAP}, ASGI_APP: 'main:app'", "is the application itself"),
        ("main.other", BOOTSTRAP, ""),
        (
            "lamella.serve.main:app",
            "AWS_LAMBDA_EXEC_WRAPPER: /opt/otel-instrument",
            "set OTEL_PYTHON_DISABLED_INSTRUMENTATIONS=aws-lambda",
        ),
        (
            "lamella.serve.main:app",
            "AWS_LAMBDA_EXEC_WRAPPER: /opt/otel-instrument, "
            "OTEL_PYTHON_DISABLED_INSTRUMENTATIONS: aws-lambda",
            "",
        ),
        ("main.handler", "{}", "Nothing leads to Lamella: AWS_LAMBDA_EXEC_WRAPPER is ''"),
        ("!Ref Somewhere", "{}", ""),
        ("own.handler", "{}", ""),
    ],
)
def test_what_the_handler_leads_to(
    tmp_path: Path, handler: str, variables: str, message: str
) -> None:
    library = "import lamella\nfrom main import app\nhandler = lamella.Adapter(app)"
    write(tmp_path / "Api", {"own.py": library})
    found = raw(tmp_path, INVOKE.replace(" MORE", ", InvokedViaFunctionUrl: true"), handler,
                variables.replace("{}", ""))  # fmt: skip
    assert [message in each["message"] for each in found] == [True] * bool(message), found


WITH_CORS = """
async def app(scope, receive, send):
    if scope["type"] == "http":
        headers = [(b"access-control-allow-origin", dict(scope["headers"])[b"origin"])]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body"})
"""

CORS = f"""
Resources:
  Api:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: Api
      Handler: lamella.handler
      Layers: [arn]
      Architectures: [{HERE}]
FRONT
"""
URL_CORS = "      FunctionUrlConfig: {Cors: {AllowOrigins: ['https://shop.example']}}"
API_CORS = """      Events: {All: {Type: HttpApi}}
Globals: {HttpApi: {CorsConfiguration: true}}"""


@pytest.mark.parametrize(
    ("front", "code", "message"),
    [
        (URL_CORS, WITH_CORS, "browsers refuse an answer with two Access-Control-Allow-Origin"),
        (API_CORS, WITH_CORS, "ServerlessHttpApi has CORS configured, so API Gateway drops"),
        (URL_CORS, APP, ""),
        ("      FunctionUrlConfig: {AuthType: NONE}", WITH_CORS, ""),
    ],
)
def test_cors_in_the_template_and_in_the_application(
    tmp_path: Path, front: str, code: str, message: str
) -> None:
    (tmp_path / "template.yaml").write_text(CORS.replace("FRONT", front))
    task = write(tmp_path / "Api", {"main.py": code})
    report = lamella("check", task, "--no-lifespan", "--json").json["findings"]
    found = [each for each in report if each["check"] == "cors"]
    assert [message in each["message"] for each in found] == [True] * bool(message), report


@pytest.mark.parametrize(
    ("code", "properties", "message"),
    [
        ("import lamella.events\n", "{Queue: q}", "has no FunctionResponseTypes"),
        ("answer = 'batchItemFailures'\n", "{Queue: q}", "Orders (SQS) has no"),
        ("import lamella.events\n",
         "{Queue: q, FunctionResponseTypes: [ReportBatchItemFailures]}", ""),
        ("", "{Queue: q}", ""),
    ],
)  # fmt: skip
def test_a_mapping_that_does_not_listen_to_failed_records(
    tmp_path: Path, code: str, properties: str, message: str
) -> None:
    event = f"      Events: {{Orders: {{Type: SQS, Properties: {properties}}}}}"
    (tmp_path / "template.yaml").write_text(CORS.replace("FRONT", event))
    task = write(tmp_path / "Api", {"main.py": code + APP})
    report = lamella("check", task, "--no-lifespan", "--json").json["findings"]
    found = [each for each in report if each["check"] == "events"]
    assert [message in each["message"] for each in found] == [True] * bool(message), report


def test_a_rest_api_streams_or_does_not(tmp_path: Path) -> None:
    event = "{Type: Api, Properties: {Path: '/{proxy+}', Method: any KIND}}"
    text = CORS.replace("FRONT", f"      Events: {{All: {event}}}\n      Environment: "
                        "{Variables: {ASGI_INVOKE_MODE: CHOSEN}}")  # fmt: skip
    expected = {
        ("response_stream", ""): "ANY /{proxy+} of the REST API does not stream",
        ("buffered", ", ResponseTransferMode: RESPONSE_STREAM"): "The REST API has",
    }
    for (mode, kind), message in expected.items():
        path = tmp_path / "template.yaml"
        path.write_text(text.replace("CHOSEN", mode).replace(" KIND", kind))
        task = write(tmp_path / "Api")
        report = lamella("check", task, "--no-lifespan", "--json").json["findings"]
        (found,) = (each for each in report if each["check"] == "template")
        assert message in found["message"]


def test_the_template_of_sam_build_counts_not_its_copy_beside_the_sources(tmp_path: Path) -> None:
    task = built(tmp_path)
    inner = TEMPLATE.replace("CodeUri: Api", "CodeUri: .").format(
        runtime=RUNTIME, architecture=HERE, wrapper="/opt/other"
    )
    (task / "template.yaml").write_text(inner)
    assert lamella("check", task, "--json").json["template"] == str(tmp_path / "template.yaml")


def test_a_number_of_the_template_that_is_no_whole_one(tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_text(f"{ONE_LINE}      Timeout: 1.5\n")
    done = lamella("check", write(tmp_path / "Api"))
    assert done.status == 2
    said = " ".join(done.output.split())
    assert "template.yaml has a Timeout of '1.5': give a whole number." in said


ONE_LINE = f"""
Resources:
  Api:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: Api
      Runtime: {RUNTIME}
      Handler: lamella.serve.main:app
      Architectures: [{HERE}]
"""


def test_a_function_of_one_line(tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_text(ONE_LINE)
    task = write(tmp_path / "Api", {"main.py": APP, "lamella/__init__.py": ""})
    done = lamella("check", task, "--json")
    assert done.status == 0, done.output
    by_check = {each["check"]: each for each in done.json["findings"]}
    assert by_check["application"]["details"]["reference"] == "main:app"
    assert not {"template", "needless"} & by_check.keys(), "it carries lamella itself"


def test_a_function_of_one_line_without_the_package(tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_text(ONE_LINE)
    task = write(tmp_path / "Api", {"main.py": APP})
    done = lamella("check", task)
    assert done.status == 1
    assert "the function has no package lamella and no Layers" in " ".join(done.output.split())


def test_sources_of_one_line_whose_requirements_name_the_package(tmp_path: Path) -> None:
    (tmp_path / "template.yaml").write_text(ONE_LINE)
    task = write(tmp_path / "Api", {"main.py": APP, "requirements.txt": "lamella\n"})
    assert lamella("check", task).status == 0
    write(task, {"idle-1.dist-info/METADATA": ""})  # built, and it is still not there
    assert lamella("check", task).status == 1


def test_the_package_is_not_needless_where_no_layer_is_known_of(tmp_path: Path) -> None:
    task = write(tmp_path, {"main.py": APP, "lamella/__init__.py": ""})
    done = lamella("check", task, "--json")
    assert "needless" not in {each["check"] for each in done.json["findings"]}


def test_the_architecture_can_be_named(tmp_path: Path) -> None:
    other = {"arm64": "x86_64", "x86_64": "arm64"}[HERE]
    task = write(tmp_path)
    minor = RUNTIME.removeprefix("python").replace(".", "")
    (task / f"fast.cpython-{minor}-{platform.machine()}-linux-gnu.so").touch()
    assert findings(task, "--architecture", HERE)["application"]["level"] == "ok"
    found = findings(task, "--architecture", other)["native modules"]
    assert f"the function is {other}" in found["message"]


def test_a_function_for_another_processor_is_not_imported(tmp_path: Path) -> None:
    other = {"arm64": "x86_64", "x86_64": "arm64"}[HERE]
    machine = {"arm64": "aarch64"}.get(other, other)
    task = built(tmp_path, architecture=other)
    minor = RUNTIME.removeprefix("python").replace(".", "")
    (task / f"fast.cpython-{minor}-{machine}-linux-gnu.so").touch()
    by_check = {each["check"]: each for each in lamella("check", task, "--json").json["findings"]}
    assert "Not imported: the function is" in by_check["application"]["message"]
    assert "native modules" not in by_check


# WebSockets: what would be seen with the first client only


def test_a_store_whose_driver_the_function_does_not_carry(tmp_path: Path) -> None:
    """redis is certainly in the environment of this test."""
    write(tmp_path)
    store = "ASGI_WEBSOCKET_STORE=redis://:secret@cache.example.com"
    done = lamella("check", tmp_path, "--app", "main:app", "--env", store, "--json")
    assert done.status == 1
    (found,) = (each for each in done.json["findings"] if each["check"] == "websockets")
    assert found["level"] == "problem"
    assert "it needs redis or valkey, and neither is installed" in found["message"]
    assert "secret" not in done.output
    for package in ("redis", "async_timeout"):  # the second one before 3.11.3
        if (spec := importlib.util.find_spec(package)) and spec.origin:
            (tmp_path / package).symlink_to(Path(spec.origin).parent)
    found = findings(tmp_path, "--env", store)["websockets"]
    assert (found["level"], found["details"]) == ("ok", {"kind": "redis"}), found["message"]


@pytest.mark.parametrize("url", ["memory:", "sqlite:////tmp/connections.db"])
def test_a_store_that_environments_do_not_share(tmp_path: Path, url: str) -> None:
    write(tmp_path)
    found = findings(tmp_path, "--env", f"ASGI_WEBSOCKET_STORE={url}")["websockets"]
    assert found["level"] == "warning"
    assert "several environments serve one connection" in found["message"]


def test_without_websockets_nothing_is_said_of_them(tmp_path: Path) -> None:
    write(tmp_path)
    assert "websockets" not in findings(tmp_path)
    assert "websockets" not in {
        each["check"] for each in lamella("check", built(tmp_path), "--json").json["findings"]
    }


WEBSOCKET_API = """
  Sockets:
    Type: AWS::ApiGatewayV2::Api
    Properties: {{ProtocolType: {protocol}}}
  {route}:
    Type: AWS::ApiGatewayV2::Route
    Properties: {{RouteKey: "{route_key}", ApiId: !Ref Sockets}}
  Default:
    Type: AWS::ApiGatewayV2::Route
    Properties: {{RouteKey: $default, ApiId: !Ref Sockets}}
  Disconnect:
    Type: AWS::ApiGatewayV2::Route
    Properties: {{RouteKey: $disconnect, ApiId: !Ref Sockets}}
"""


@pytest.mark.parametrize(
    ("store", "values", "expected"),
    [
        (True, {}, []),
        (True, {"route_key": "join"}, ["no route $connect"]),
        (False, {}, ["no function in it has ASGI_WEBSOCKET_STORE"]),
        (False, {"protocol": "HTTP"}, []),
    ],
)
def test_the_template_s_websocket_api(
    tmp_path: Path, store: bool, values: dict[str, str], expected: list[str]
) -> None:
    task = built(tmp_path)
    template = tmp_path / "template.yaml"
    known = {"protocol": "WEBSOCKET", "route": "Connect", "route_key": "$connect", **values}
    text = template.read_text() + WEBSOCKET_API.format(**known)
    if store:
        line = "          TABLE: !Ref Table\n"
        text = text.replace(line, f"{line}          ASGI_WEBSOCKET_STORE: !Sub dynamodb://${{T}}\n")
    template.write_text(text)
    report = lamella("check", task, "--json").json["findings"]
    messages = [each["message"] for each in report if each["check"] == "websockets"]
    assert len(messages) == len(expected), messages
    for message, words in zip(messages, expected, strict=True):
        assert words in message


def test_the_templates_of_the_examples_lack_nothing() -> None:
    for example in ("chat", "chat-channels"):
        folder = Path(__file__).parents[2] / "examples" / example
        done = lamella("check", folder, "--no-lifespan", "--json", "--runtime", RUNTIME)
        assert str(folder / "template.yaml") == done.json["template"]
        assert not [each for each in done.json["findings"] if each["check"] == "websockets"]


# The command line: exit status 2, and what to change


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--env", "ALONE"], "not of the form NAME=VALUE"),
        (["--env", "A-B=1"], "The function has a variable 'A-B', which Lambda refuses"),
        (["--python", "/no/such/python"], "is no executable file"),
        (["--python", "false"], "does not run as Python 3.11 or later"),
        (["--runtime", "nodejs22.x"], "is not a Python runtime of Lambda"),
        (
            ["--runtime", "python3.10"],
            "python3.10 is not supported: Lamella runs on python3.11, python3.12, python3.13, "
            "python3.14 and python3.15",
        ),
        (["--runtime", "python3.99"], "no python3.99 runs on PATH"),
        (
            ["--runtime", "python3.99", "--python", "python3"],
            "The function's runtime is python3.99",
        ),
        (["--function", "Api"], "add --template"),
        (["--template", "main.py"], "defines no function"),
        (["--layer", "main.py"], "is no usable layer"),
    ],
)
def test_a_wrong_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], message: str
) -> None:
    monkeypatch.chdir(write(tmp_path, {"main.py": "x: 1"}))
    done = lamella("check", ".", *options)
    assert done.status == 2
    assert message in " ".join(done.output.split())


def test_a_shim_of_pyenv_is_not_the_interpreter_that_runs(tmp_path: Path) -> None:
    """A shim finds its Python by variables and folders that Lambda's process does not have."""
    shim = tmp_path / "shims" / "python3"
    write(shim.parent, {shim.name: f'#!/bin/sh\nexec "{sys.executable}" "$@"\n'})
    shim.chmod(0o755)
    done = lamella("check", write(tmp_path / "task"), "--app=main:app", "--python", shim, "--json")
    assert done.json["python"]["path"] == sys.executable


def test_a_shim_that_finds_no_python_says_why(tmp_path: Path) -> None:
    shim = tmp_path / "python3"
    write(
        tmp_path, {shim.name: "#!/bin/sh\necho pyenv: python3: command not found >&2\nexit 127\n"}
    )
    shim.chmod(0o755)
    done = lamella("check", tmp_path, "--python", shim)
    assert "Python 3.11 or later (pyenv: python3: command not found)" in " ".join(
        done.output.split()
    )


# What the command does not take from where it runs


def test_variables_of_the_shell_do_not_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASGI_APP", "other:app")
    monkeypatch.setenv("ASGI_LOOP", "asyncio")
    shell = findings(write(tmp_path))["shell"]
    assert shell["level"] == "warning"
    assert "ASGI_LOOP is set in this shell" in shell["message"]
    assert '--env ASGI_LOOP="$ASGI_LOOP"' in shell["message"]
    assert "ASGI_APP" not in shell["message"], "the command line has it"
    done = lamella("check", tmp_path, "--env", "ASGI_LOOP=asyncio", "--json")
    (shell,) = (each for each in done.json["findings"] if each["check"] == "shell")
    assert '--app "$ASGI_APP"' in shell["message"]


def test_a_runtime_that_is_deprecated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "runtime" not in findings(write(tmp_path)), "nobody has named one"
    monkeypatch.setitem(interpreter.DEPRECATED, RUNTIME, ("2999-10-31", "2999-11-30", "3000-01-15"))
    assert "runtime" not in findings(tmp_path, "--runtime", RUNTIME), "it is not yet"
    monkeypatch.setitem(interpreter.DEPRECATED, RUNTIME, ("2026-10-31", "2026-11-30", "2027-01-15"))
    found = findings(tmp_path, "--runtime", RUNTIME)["runtime"]
    assert found["level"] == "warning"
    assert found["message"] == (
        f"{RUNTIME} is deprecated since 2026-10-31. Lambda creates no function with it from "
        "2026-11-30 on, and updates none from 2027-01-15 on: move to a newer one."
    )


def test_several_functions(tmp_path: Path) -> None:
    built(tmp_path)
    elsewhere = write(tmp_path / "elsewhere")
    template = ["--template", tmp_path / "template.yaml"]
    assert "choose with --function: Api, Other" in lamella("check", elsewhere, *template).output
    assert "has no function 'Ap'" in lamella("check", elsewhere, *template, "--function=Ap").output
    done = lamella("check", elsewhere, *template, "--function=Api", "--json")
    assert done.json["level"] == "warning"


# -X importtime


def test_import_times_are_a_tree_of_packages() -> None:
    lines = """
import time:       900 |       900 | site
lamella-import-begins
import time:       100 |       100 |     json.decoder
import time:       200 |       300 |   fastapi.routing
import time:      3000 |      3000 |     pydantic.main
import time:       500 |      3500 |   starlette
import time:      1000 |      4800 | fastapi
the application's own words
import time:      2000 |      2000 | pydantic.late
lamella-import-ends
import time:       900 |       900 | asyncio.late
""".splitlines()
    root = tree(lines, {"json", "asyncio", "site"})
    (fastapi,) = root.children
    assert (fastapi.name, fastapi.own, fastapi.total) == ("fastapi", 1.3, 6.8)
    (starlette,) = fastapi.children
    assert [each.name for each in starlette.children] == ["pydantic"], "imported there first"
    named = [(each.name, each.own) for each in slowest(root, 2)]
    assert named == [("pydantic", 5.0), ("fastapi", 1.3)]


def test_the_slowest_imports_are_shown_as_a_tree(tmp_path: Path) -> None:
    task = write(
        tmp_path,
        {
            "outer/__init__.py": "import time\nimport inner\ntime.sleep(0.05)",
            "inner.py": "import time\ntime.sleep(0.1)",
            "main.py": f"import outer\n{APP}",
        },
    )
    shown = lamella("check", task).output
    assert re.search(r"── outer  \d+ ms, own \d+ ms\n    └── inner  \d+ ms", shown), shown
