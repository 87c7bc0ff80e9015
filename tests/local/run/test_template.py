"""`lamella run --template`: functions as a template configures them, all of them at once."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner

from lamella.local.endpoints.router import EVERYTHING, Route, rank
from lamella.tools.cli import main
from tests.local.command import LIMIT, Cli, Start, environ

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  Level: {Type: String, Default: high}
Globals:
  Function:
    Timeout: 7
    Environment: {Variables: {SHARED: !Ref Level}}
Resources:
  Api:
    Type: AWS::Serverless::HttpApi
    Properties:
      StageName: dev
      CorsConfiguration: {AllowOrigins: ['https://a.example'], AllowMethods: [GET], MaxAge: 60}
  Items:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: items/
      Handler: lamella.serve.main:app
      MemorySize: 256
      Layers: [!Ref Shared, !Ref Unbuilt]
      EphemeralStorage: {Size: 600}
      Environment: {Variables: {TABLE: !GetAtt Table.Arn}}
      Events:
        One: {Type: HttpApi, Properties: {ApiId: !Ref Api, Path: '/items/{id}', Method: get}}
        Some: {Type: HttpApi, Properties: {ApiId: !Ref Api, Path: /items, Method: any}}
  Shared: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: shared/}}
  Unbuilt: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: unbuilt/}}
  Other:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: other/
      Handler: lamella.handler
      Environment: {Variables: {ASGI_APP: 'other:app'}}
      Events:
        All: {Type: HttpApi, Properties: {ApiId: !Ref Api, Path: '/{rest+}', Method: any}}
  Site:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: other/
      Handler: lamella.serve.site:app
      FunctionUrlConfig:
        {AuthType: NONE, InvokeMode: RESPONSE_STREAM, Cors: {AllowOrigins: ['*']}}
  Queue:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: other/, Handler: queue.handler}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in ("items", "other", "shared/python", "unbuilt"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "shared" / "python" / "helper.py").touch()
    path = tmp_path / "template.yaml"
    path.write_text(TEMPLATE)
    return path


@pytest.fixture
def begin(start: Start, tmp_path: Path, wrapper: Path, project: Path) -> Start:
    def run(*arguments: str) -> Cli:
        return start("--template", str(project), *arguments, app=None)

    return run


def test_all_functions_that_an_http_client_reaches_are_served(begin: Start) -> None:
    cli = begin()
    cli.line("^Items: only CloudFormation knows TABLE: give values with --env")
    cli.line("^Queue is left out: it has neither a Function URL nor a route")
    url = cli.url()
    assert httpx.URL(url).path == "/dev"
    cli.line(r"^  GET /items/\{id\} -> Items$")

    def name(path: str, method: str = "POST", **headers: str) -> Any:
        wish = {"do": "environ"}
        got = httpx.request(method, f"{url}{path}", json=wish, headers=headers, timeout=LIMIT)
        if got.status_code != 200:
            return got.status_code
        return got.json()["variables"]["AWS_LAMBDA_FUNCTION_NAME"]

    assert name("/items/5", "GET") == "Items"
    assert name("/items/5") == "Other", "that route has another method"
    assert name("/items") == "Items"
    assert name("/a/b/c") == "Other"
    assert name("") == 404
    cli.line(r"^POST /dev 404 .*  no route of API Gateway HTTP API fits$")
    assert name("/x", host="site.localhost") == "Site"
    for named in ("Site", "arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3ASite%3Alive"):
        invoked = f"{url.removesuffix('/dev')}/2015-03-31/functions/{named}/invocations"
        got = httpx.post(invoked, json={"do": "environ"}, timeout=LIMIT)
        assert got.json()["variables"]["AWS_LAMBDA_FUNCTION_NAME"] == "Site"
    cli.line("^INVOKE Site 200 ")


def test_each_front_door_is_shown_with_all_its_routes(begin: Start, project: Path) -> None:
    handler = "Handler: lamella.handler\n"
    with_url = f"{handler}      FunctionUrlConfig: {{AuthType: NONE}}\n"
    project.write_text(TEMPLATE.replace(handler, with_url))
    cli = begin()
    cli.line("^Api behind an API Gateway HTTP API")
    cli.line(r"^  ANY /\{rest\+\} -> Other$")
    assert not any("behind a Lambda" in line for line in cli.seen), (
        "the API's routes are not a URL's"
    )
    cli.line("^Other behind a Lambda Function URL")
    cli.line(r"^  ANY \$default -> Other$")


def test_the_lines_to_try_are_of_the_application_that_the_handler_names(
    begin: Start, project: Path
) -> None:
    (project.parent / "other" / "site.py").write_text("""
@app.get("/health")
async def health(): ...
""")
    cli = begin("--function", "Site")
    url = cli.url()
    cli.line(f"^  curl -iN {url}/health$")


def test_one_function_as_the_template_has_it(begin: Start, tmp_path: Path) -> None:
    cli = begin("--function", "Items", "--env", "TABLE=arn")
    url = cli.url()
    variables = environ(f"{url}/items")
    assert not any("TABLE" in line for line in cli.seen), "it is known now"
    opt = Path(variables["AWS_LAMBDA_EXEC_WRAPPER"]).parent
    assert (opt / "python" / "helper.py").exists(), "the template's layer, beside Lamella's"
    assert any(f"the layer in {tmp_path}/unbuilt is left out" in line for line in cli.seen)
    assert variables["_HANDLER"] == "lamella.serve.main:app"
    assert variables["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"
    assert variables["LAMBDA_TASK_ROOT"] == str(tmp_path / "items")
    assert (variables["SHARED"], variables["TABLE"]) == ("high", "arn")
    assert httpx.get(f"{url}/elsewhere", timeout=LIMIT).status_code == 404
    assert "ASGI_INVOKE_MODE" not in variables, "what the template does not say, AWS does not know"


def test_layers_of_a_template_that_are_not_at_opt_are_told_of_once(begin: Start) -> None:
    cli = begin("--no-limits")
    cli.url()
    assert len([line for line in cli.seen if line.startswith("the layers are not at /opt")]) == 1
    alone = begin("--no-limits", "--function", "Site")
    alone.url()
    assert not any("/opt" in line for line in alone.seen), "it has no layers"


def test_a_url_streams_as_its_invoke_mode_says(begin: Start) -> None:
    cli = begin("--function", "Site")
    cli.line("^Site behind a Lambda Function URL, streamed")
    stream = {"do": "stream", "prelude": {"statusCode": 201}, "chunks": ["a"]}
    assert httpx.post(cli.url(), json=stream, timeout=LIMIT).status_code == 201


def test_cors_is_the_front_doors(begin: Start) -> None:
    url = begin().url()
    preflight = {"origin": "https://a.example", "access-control-request-method": "GET"}
    got = httpx.options(f"{url}/items/5", headers=preflight, timeout=LIMIT)
    assert got.status_code == 204
    assert got.headers["access-control-allow-origin"] == "https://a.example"
    assert got.headers["access-control-allow-methods"] == "GET"
    assert got.headers["access-control-max-age"] == "60"
    foreign = {**preflight, "origin": "https://b.example"}
    got = httpx.options(f"{url}/items/5", headers=foreign, timeout=LIMIT)
    assert "access-control-allow-origin" not in got.headers

    own = {"statusCode": 200, "headers": {"access-control-allow-origin": "own"}}
    wish, origin = {"do": "result", "result": own}, {"origin": "https://a.example"}
    got = httpx.post(f"{url}/items", json=wish, headers=origin, timeout=LIMIT)
    assert got.headers.get_list("access-control-allow-origin") == ["https://a.example"]
    stream = {"do": "stream", "prelude": own}
    site = {**origin, "host": "site.localhost"}
    got = httpx.post(url.removesuffix("/dev"), json=stream, headers=site, timeout=LIMIT)
    assert got.headers.get_list("access-control-allow-origin") == ["own", "*"], "twice, as on AWS"


def test_a_websocket_api_is_played_for_one_function(begin: Start, project: Path) -> None:
    project.write_text(
        """
Resources:
  Chat:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: other/, Handler: lamella.serve.chat:app}
  Sockets: {Type: AWS::ApiGatewayV2::Api, Properties: {ProtocolType: WEBSOCKET}}
  Live: {Type: AWS::ApiGatewayV2::Stage, Properties: {ApiId: !Ref Sockets, StageName: live}}
  ToChat:
    Type: AWS::ApiGatewayV2::Integration
    Properties: {ApiId: !Ref Sockets, IntegrationUri: !GetAtt Chat.Arn}
  Connect:
    Type: AWS::ApiGatewayV2::Route
    Properties:
      {ApiId: !Ref Sockets, RouteKey: $connect, Target: !Sub 'integrations/${ToChat}'}
"""
    )
    cli = begin()
    assert httpx.URL(cli.url()).path == "/live"
    cli.line("python -m websockets")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name the application, such as main:app, or a --template"),
        (["a:b", "--function", "X"], "--function names a function of a template: add --template"),
        (["--template", "{}", "--function", "X"], "has no function 'X': it has Items, Other"),
        (["--template", "{}", "--function", "Queue"], "does not lead to Lamella: its Handler is"),
        (["--template", "{}", "--function", "Queue"], "has the Handler lamella.serve.main:app)"),
    ],
)
def test_what_cannot_be_served(
    project: Path, wrapper: Path, arguments: list[str], message: str
) -> None:
    given = [each.format(project) for each in arguments]
    done = CliRunner().invoke(main, ["run", *given, "--layer", str(wrapper.parent)])
    assert done.exit_code in (1, 2)
    assert message in re.sub(r"\s+", " ", done.output)


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ("Properties: {CodeUri: nowhere, ", "/nowhere, which is no folder: correct CodeUri, or"),
        ("Propertis: {CodeUri: ., ", "has no code on this machine: let its CodeUri name a folder"),
    ],
)
def test_code_that_is_not_here(
    tmp_path: Path, wrapper: Path, properties: str, message: str
) -> None:
    template = tmp_path / "template.yaml"
    function = f"{{Type: 'AWS::Serverless::Function', {properties} Handler: 'main:app'}}}}"
    template.write_text(f"Resources: {{F: {function}}}")
    done = CliRunner().invoke(
        main, ["run", "--template", str(template), "--layer", str(wrapper.parent)]
    )
    assert done.exit_code == 1
    assert message in re.sub(r"\s+", " ", done.output)


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ("Runtime: nodejs22.x", "has the Runtime nodejs22.x: give it one of Python, such as"),
        ("Timeout: 0", "F of {} has a Timeout of 0: give a number from 1 to 900"),
        ("Timeout: -1", "has a Timeout of -1: give a number from 1 to 900"),
        ("Timeout: 1.5", "F of {} has a Timeout of '1.5': give a whole number"),
        ("MemorySize: '-5'", "has a MemorySize of -5: give a number from 128 to 32768"),
        ("MemorySize: 64", "has a MemorySize of 64: give a number from 128 to 32768"),
        (
            "EphemeralStorage: {Size: '-5'}",
            "has an EphemeralStorage of -5: give a number from 512 to 10240",
        ),
        (
            "EphemeralStorage: {Size: 1 GB}",
            "has an EphemeralStorage of '1 GB': give a whole number",
        ),
        ("Environment: {Variables: {A=B: c}}", "has a variable 'A=B', which Lambda refuses"),
        ("Environment: {Variables: {A-B: !Ref T}}", "has a variable 'A-B', which Lambda refuses"),
        (
            "Environment: {Variables: {A: b}}",
            "has a variable 'A', which Lambda refuses: a name has two characters or more, begins "
            "with a letter, and goes on with letters, digits and underscores",
        ),
        (
            'Environment: {Variables: {KEY: "a\\0b"}}',
            "has a NUL character in its variable KEY: remove it",
        ),
    ],
)
def test_what_lambda_refuses_is_refused(
    project: Path, wrapper: Path, properties: str, message: str
) -> None:
    project.write_text(f"""
Resources:
  F:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: items/
      Handler: lamella.handler
      FunctionUrlConfig: {{}}
      {properties}
""")
    arguments = ["run", "--template", str(project), "--layer", str(wrapper.parent)]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 1
    assert message.replace("{}", str(project)) in re.sub(r"\s+", " ", done.output)


def test_routes_are_chosen_as_api_gateway_chooses_them() -> None:
    routes = [
        EVERYTHING,
        Route("ANY", "/{all+}"),
        Route("ANY", "/items/{id}"),
        Route("GET", "/items/{id}"),
        Route("ANY", "/items/{id}/{rest+}"),
        Route("ANY", "/items/new"),
        Route("ANY", "/"),
    ]

    def best(method: str, path: str) -> Route:
        ranked = [(found, each) for each in routes if (found := rank(each, method, path))]
        return max(ranked)[1]

    assert best("GET", "/items/new") == Route("ANY", "/items/new")
    assert best("GET", "/items/5") == Route("GET", "/items/{id}")
    assert best("PUT", "/items/5") == Route("ANY", "/items/{id}")
    assert best("PUT", "/items/5/a/b") == Route("ANY", "/items/{id}/{rest+}")
    assert best("PUT", "/other/a") == Route("ANY", "/{all+}")
    assert best("PUT", "/") == Route("ANY", "/")
    del routes[-1]
    assert best("PUT", "/") == EVERYTHING, "a greedy variable stands for one part at least"
