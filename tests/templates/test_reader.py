"""The reader of templates that `lamella check` and `lamella run --template` share."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from lamella.templates import (
    Api,
    Function,
    Layer,
    Route,
    TemplateError,
    Url,
    beside,
    find_function,
    read,
)

ROOT = Path(__file__).parents[2]
SAM = ROOT / ".venv-sam" / "bin" / "python"

WHOLE = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  Stage: {Type: String, Default: dev}
  Secret: {Type: String}
  Lamella: {Type: "AWS::SSM::Parameter::Value<String>", Default: /lamella/arn}
  Names: {Type: CommaDelimitedList, Default: "a, b"}
Mappings:
  Sizes:
    dev: {Memory: 512}
    prod: {Memory: 2048}
Conditions:
  IsDev: !Equals [!Ref Stage, dev]
  IsProd: !Not [!Condition IsDev]
  Never: !And [!Condition IsDev, !Condition IsProd]
  Elsewhere: !Equals [!Ref "AWS::Region", us-east-1]
Globals:
  Function:
    Runtime: python3.13
    Timeout: 20
    Architectures: [x86_64]
    Layers: [!Ref Lamella]
    Environment:
      Variables: {AWS_LAMBDA_EXEC_WRAPPER: /opt/bootstrap, LEVEL: info}
  HttpApi:
    CorsConfiguration: {AllowOrigins: ["https://example.com"]}
Resources:
  Shop:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: shop/
      Handler: lamella.handler
      MemorySize: !FindInMap [Sizes, !Ref Stage, Memory]
      Architectures: [arm64]
      Layers: [!Ref Own]
      Environment:
        Variables:
          ASGI_APP: main:app
          ASGI_BASE_PATH: !Sub "/${Stage}"
          LEVEL: !If [IsProd, warning, debug]
          DEBUG: true
          JOINED: !Join [":", [!Ref Stage, !Select [1, !Ref Names]]]
          LITERAL: !Sub ["${!Stage} ${Name}", {Name: !Ref Stage}]
          GONE: !If [IsProd, here, !Ref "AWS::NoValue"]
          TABLE: !GetAtt Table.Arn
          PASSWORD: !Ref Secret
          LATER: !Sub "${AWS::Region}-${Stage}"
          VAULT: "{{resolve:secretsmanager:key}}"
          EITHER: !If [Elsewhere, a, b]
      FunctionUrlConfig:
        AuthType: NONE
        InvokeMode: RESPONSE_STREAM
        Cors: {AllowOrigins: ["*"]}
      Events:
        All: {Type: HttpApi}
        Old:
          Type: HttpApi
          Properties:
            {ApiId: !Ref Old, Path: "/old/{proxy+}", Method: any, PayloadFormatVersion: "1.0"}
        Item: {Type: Api, Properties: {Path: "/items/{id}", Method: get}}
        Live:
          Type: Api
          Properties:
            Path: /live
            Method: POST
            RestApiId: !Ref Front
            ResponseTransferMode: RESPONSE_STREAM
        Queue: {Type: SQS, Properties: {Queue: "arn:aws:sqs:eu-west-1:123456789012:queue"}}
  Own:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: layer/}
  Old:
    Type: AWS::Serverless::HttpApi
    Properties: {StageName: !Ref Stage}
  Front:
    Type: AWS::Serverless::Api
    Properties:
      StageName: v1
      BinaryMediaTypes: ["image~1png"]
      Domain:
        DomainName: api.example.com
        CertificateArn: arn:aws:acm:us-east-1:123456789012:certificate/1
        BasePath: [shop]
  Chat:
    Type: AWS::Serverless::WebSocketApi
    Properties:
      RouteSelectionExpression: $request.body.action
      Routes:
        $connect: {FunctionArn: !GetAtt Shop.Arn}
        $default: {FunctionArn: !GetAtt Shop.Arn}
  Table:
    Type: AWS::Serverless::SimpleTable
  Other:
    Type: AWS::Serverless::Function
    Condition: Never
    Properties: {CodeUri: other/, Handler: main.handler}
"""

IMPLICIT = Api("ServerlessHttpApi", "http", "$default")
OLD = Api("Old", "http-v1", "dev")
FRONT = Api("Front", "rest", "v1", base="shop", binary=("image/png",))
CHAT = Api("Chat", "websocket", "default")

ROUTES = {
    Route(IMPLICIT, "$default"),
    Route(OLD, "/old/{proxy+}"),
    Route(Api("ServerlessRestApi", "rest", "Prod"), "/items/{id}", "GET"),
    Route(FRONT, "/live", "POST", streaming=True),
    Route(CHAT, "$connect"),
    Route(CHAT, "$default"),
}

SHOP = Function(
    "Shop",
    Path("template.yaml"),
    code=Path("shop"),
    runtime="python3.13",
    handler="lamella.handler",
    architecture="arm64",
    timeout=20,
    memory=512,
    variables={
        "AWS_LAMBDA_EXEC_WRAPPER": "/opt/bootstrap",
        "LEVEL": "debug",
        "ASGI_APP": "main:app",
        "ASGI_BASE_PATH": "/dev",
        "DEBUG": "true",
        "JOINED": "dev:b",
        "LITERAL": "${Stage} dev",
    },
    unknown=("EITHER", "LATER", "PASSWORD", "TABLE", "VAULT"),
    layers=(Layer("Lamella"), Layer("Own", Path("layer"))),
    url=Url("Shop", "NONE", "RESPONSE_STREAM", {"AllowOrigins": ["*"]}),
)


def written(folder: Path, text: str, name: str = "template.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def with_cors(found: Function) -> set[str]:
    return {route.api.name for route in found.routes if route.api.cors}


def function(path: Path, **parameters: str) -> Function:
    return find_function(read(path, parameters))


def test_everything_that_a_sam_template_says(tmp_path: Path) -> None:
    found = function(written(tmp_path, WHOLE))
    assert found.code == tmp_path / "shop"
    assert found.layers == (Layer("Lamella"), Layer("Own", tmp_path / "layer"))
    assert set(found.routes) == ROUTES
    assert with_cors(found) == {"ServerlessHttpApi", "Old"}
    assert dict(found.variables) == SHOP.variables
    for name in ("runtime", "handler", "architecture", "timeout", "memory", "unknown", "url"):
        assert getattr(found, name) == getattr(SHOP, name), name


TRANSLATE = """
import json, sys
from samcli.yamlhelper import yaml_parse
from samtranslator.translator.transform import transform

class Policies:
    def load(self):
        return {}

print(json.dumps(transform(yaml_parse(sys.stdin.read()), {}, Policies())))
"""


@pytest.mark.skipif(not SAM.exists(), reason="AWS's transform comes with SAM CLI: make sam")
def test_what_aws_makes_of_a_sam_template_says_the_same(tmp_path: Path) -> None:
    """SAM's own transform is the judge: it turns events into OpenAPI and CloudFormation."""
    uploaded = WHOLE
    for folder in ("shop/", "layer/", "other/"):
        uploaded = uploaded.replace(folder, f"s3://bucket/{folder}")
    done = subprocess.run(
        [SAM, "-c", TRANSLATE], input=uploaded, capture_output=True, text=True,
        env={"AWS_DEFAULT_REGION": "eu-west-1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    ours = function(written(tmp_path, WHOLE))
    theirs = function(written(tmp_path, done.stdout, "out.json"))
    assert set(theirs.routes) == set(ours.routes)
    assert with_cors(theirs) == with_cors(ours)
    assert ours.url
    assert theirs.url == replace(ours.url, name="ShopUrl")
    for name in ("runtime", "handler", "architecture", "timeout", "memory", "variables", "unknown"):
        assert getattr(theirs, name) == getattr(ours, name), name


LOOPS = """
Transform: [AWS::LanguageExtensions, AWS::Serverless-2016-10-31]
Parameters:
  Names: {Type: CommaDelimitedList, Default: "Items, Users"}
  Stage: {Type: String, Default: prod}
Mappings:
  Hosts:
    Items: {Names: [a.example, b.example]}
    Users: {Names: [c.example]}
Conditions:
  Fn::ForEach::Conditions:
    - Name
    - !Ref Names
    - "Has${Name}": !Equals [!Ref Stage, prod]
Resources:
  Fn::ForEach::Functions:
    - Name
    - !Ref Names
    - "${Name}Function":
        Type: AWS::Serverless::Function
        Condition: "Has${Name}"
        Properties:
          CodeUri: !Sub "./${Name}"
          Handler: "lamella.serve.${Name}.main:app"
          Runtime: python3.13
          Environment:
            Variables:
              NAME: !Ref Name
              WHERE: !Sub "${Name}-${Stage}"
              Fn::ForEach::Levels:
                - Level
                - [debug, info]
                - "LEVEL_${Level}": !Ref Level
          Events:
            All: {Type: HttpApi, Properties: {ApiId: !Ref Api, Path: !Sub "/${Name}", Method: GET}}
      Fn::ForEach::Hosts:
        - Host
        - !FindInMap [Hosts, !Ref Name, Names]
        - "Url&{Host}":
            Type: AWS::Lambda::Url
            Properties: {TargetFunctionArn: !GetAtt "${Name}Function.Arn", AuthType: NONE}
  Api: {Type: AWS::Serverless::HttpApi}
  Fn::ForEach::Nothing: [Name, [], {"${Name}Bucket": {Type: AWS::S3::Bucket}}]
"""


def test_a_loop_is_written_out(tmp_path: Path) -> None:
    template = read(written(tmp_path, LOOPS))
    made = {"ItemsFunction", "UsersFunction", "Api", "Urlaexample", "Urlbexample", "Urlcexample"}
    assert template.resources.keys() - {"ServerlessRestApi", "ServerlessHttpApi"} == made
    found = find_function(template, name="UsersFunction")
    assert (found.handler, found.code) == ("lamella.serve.Users.main:app", tmp_path / "Users")
    assert found.variables == {
        "NAME": "Users", "WHERE": "Users-prod", "LEVEL_debug": "debug", "LEVEL_info": "info"
    }  # fmt: skip
    assert found.routes == (Route(Api("Api", "http", "$default"), "/Users", "GET"),)
    assert found.url == Url("Urlcexample", "NONE")


EXPAND = """
import json, sys
from samcli.lib.cfn_language_extensions.api import process_template
from samcli.yamlhelper import yaml_parse

print(json.dumps(process_template(yaml_parse(sys.stdin.read()))))
"""


@pytest.mark.skipif(not SAM.exists(), reason="AWS's transform comes with SAM CLI: make sam")
def test_what_aws_makes_of_a_loop_says_the_same(tmp_path: Path) -> None:
    done = subprocess.run([SAM, "-c", EXPAND], input=LOOPS, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ours = read(written(tmp_path, LOOPS))
    theirs = read(written(tmp_path, done.stdout, "out.json"))
    assert theirs.resources == ours.resources
    for name in ("ItemsFunction", "UsersFunction"):
        found = find_function(ours, name=name)
        assert replace(find_function(theirs, name=name), template=found.template) == found


@pytest.mark.parametrize(
    ("loop", "message"),
    [
        ("[Name, !Ref Names, {}]", "only CloudFormation knows the values of Fn::ForEach::Many: "),
        ("[Name, [a, !GetAtt B.Arn], {}]", "only CloudFormation knows the values"),
        ("[Name, [a, b]]", "Fn::ForEach::Many is no list of a name, a list of values, and a map"),
    ],
)
def test_a_loop_that_cannot_be_written_out(tmp_path: Path, loop: str, message: str) -> None:
    parameters = "Parameters: {Names: {Type: CommaDelimitedList}}"
    text = f"{parameters}\nResources: {{Fn::ForEach::Many: {loop}}}"
    with pytest.raises(TemplateError, match=f"template.yaml cannot be read: {message}"):
        read(written(tmp_path, text))


def test_a_parameter_can_have_another_value_than_its_default(tmp_path: Path) -> None:
    found = find_function(
        read(written(tmp_path, WHOLE), {"Stage": "prod", "AWS::Region": "us-east-1", "Secret": "s"})
    )
    assert found.memory == 2048
    assert found.variables["GONE"] == "here"
    assert found.variables["EITHER"] == "a"
    assert found.variables["LATER"] == "us-east-1-prod"
    assert found.unknown == ("TABLE", "VAULT")


REST = """
Resources:
  Function:
    Type: AWS::Lambda::Function
    Properties: {Code: {ZipFile: ""}, PackageType: Image, Layers: !Ref Layers}
  Live:
    Type: AWS::Lambda::Alias
    Properties: {FunctionName: !Ref Function, Name: live}
  Api:
    Type: AWS::ApiGateway::RestApi
  Items:
    Type: AWS::ApiGateway::Resource
    Properties: {RestApiId: !Ref Api, ParentId: !GetAtt Api.RootResourceId, PathPart: items}
  Item:
    Type: AWS::ApiGateway::Resource
    Properties: {RestApiId: !Ref Api, ParentId: !Ref Items, PathPart: "{id}"}
  Get:
    Type: AWS::ApiGateway::Method
    Properties:
      RestApiId: !Ref Api
      ResourceId: !Ref Item
      HttpMethod: GET
      Integration:
        ResponseTransferMode: STREAM
        Uri: !Sub "arn:aws:apigateway:eu-west-1:lambda:path/x/functions/${Live}/invocations"
  Deployment:
    Type: AWS::ApiGateway::Deployment
    Properties: {RestApiId: !Ref Api, StageName: v2}
  Short:
    Type: AWS::ApiGatewayV2::Api
    Properties: {ProtocolType: HTTP, Target: !GetAtt Function.Arn}
  Long:
    Type: AWS::ApiGatewayV2::Api
    Properties: {ProtocolType: HTTP}
  Integration:
    Type: AWS::ApiGatewayV2::Integration
    Properties:
      {ApiId: !Ref Long, IntegrationUri: !GetAtt Function.Arn, PayloadFormatVersion: "2.0"}
  Route:
    Type: AWS::ApiGatewayV2::Route
    Properties: {ApiId: !Ref Long, RouteKey: GET /x, Target: !Sub "integrations/${Integration}"}
  Mapping:
    Type: AWS::ApiGatewayV2::ApiMapping
    Properties: {ApiId: !Ref Long, ApiMappingKey: long/base, DomainName: example.com, Stage: a}
  Url:
    Type: AWS::Lambda::Url
    Properties: {TargetFunctionArn: !Ref Live, AuthType: AWS_IAM}
"""


def test_resources_of_cloudformation_behind_an_alias(tmp_path: Path) -> None:
    found = function(written(tmp_path, REST))
    assert set(found.routes) == {
        Route(Api("Api", "rest", "v2"), "/items/{id}", "GET", streaming=True),
        Route(Api("Short", "http", "$default"), "$default"),
        Route(Api("Long", "http", "$default", base="long/base"), "/x", "GET"),
    }
    assert found.url == Url("Url", "AWS_IAM")
    assert found.is_image
    assert (found.timeout, found.memory, found.storage) == (3, 128, 512)
    assert found.architecture == "x86_64"


@pytest.mark.parametrize("name", ["alb", "lattice", "http-api", "rest-api", "function-url"])
def test_the_deploy_example_leads_to_its_front_door(name: str) -> None:
    found = function(ROOT / "examples" / "deploy" / "sam" / f"{name}.yaml")
    doors = {route.api.door.removesuffix("-multi-value") for route in found.routes}
    expected = {"http-api": {"http"}, "rest-api": {"rest"}, "function-url": set()}
    assert doors == expected.get(name, {name})
    assert (found.url is not None) == (name == "function-url")


def test_what_lies_above_the_folder_comes_before_its_own_template(tmp_path: Path) -> None:
    folder = tmp_path / "Shop"
    folder.mkdir()
    paths = [written(tmp_path, "{}"), written(tmp_path, "{}", "S.template.json"),
             written(folder, "{}", "template.yml")]  # fmt: skip
    assert list(beside(folder)) == paths


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Resources: [", "template.yaml cannot be read: "),
        ("just text", "template.yaml defines no function: name another --template."),
        (
            "Conditions: {A: !Condition B, B: !Condition A}\nResources:\n  F: {Condition: A}",
            "template.yaml has a condition or an anchor that leads back to itself.",
        ),
        (
            "Resources: {F: {Properties: &a {Again: *a}}}",
            "template.yaml has a condition or an anchor that leads back to itself.",
        ),
        (
            "Resources: " + "{a: " * 2000 + "}" * 2000,
            "template.yaml cannot be read: it is nested too deeply.",
        ),
        (
            "Resources:\n  A: {Type: AWS::Lambda::Function}\n  B: {Type: AWS::Lambda::Function}",
            "template.yaml has several functions: choose with --function: A, B.",
        ),
        # what no tool writes, and a reader has to survive
        ("Resources: {A: 5, B: {Type: 5, Properties: 5}}", "defines no function"),
    ],
)
def test_a_template_that_is_of_no_use(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(TemplateError) as caught:
        function(written(tmp_path, text))
    assert message in str(caught.value)


def test_a_resource_that_is_below_itself(tmp_path: Path) -> None:
    """CloudFormation refuses it; its path has no beginning that could be looked for."""
    text = """
Resources:
  F: {Type: AWS::Lambda::Function}
  Shop: {Type: AWS::ApiGateway::RestApi}
  A: {Type: AWS::ApiGateway::Resource, Properties: {PathPart: a, ParentId: !Ref B}}
  B: {Type: AWS::ApiGateway::Resource, Properties: {PathPart: b, ParentId: !Ref A}}
  Get: {Type: AWS::ApiGateway::Method, Properties: {RestApiId: !Ref Shop, ResourceId: !Ref A}}
"""
    with pytest.raises(TemplateError) as caught:
        function(written(tmp_path, text))
    assert "has a resource 'A' whose ParentId leads back to itself" in str(caught.value)


def test_keys_and_dates_are_text_as_they_are_written(tmp_path: Path) -> None:
    text = """
AWSTemplateFormatVersion: 2010-99-99
Resources:
  2:
    Type: AWS::Serverless::Function
    Properties:
      Environment: {Variables: {RELEASED: 2026-01-31, ON: a, 404: !Ref Page}}
"""
    found = function(written(tmp_path, text))
    assert (found.name, found.unknown) == ("2", ("404",))
    assert found.variables == {"RELEASED": "2026-01-31", "ON": "a"}


def test_apis_and_layers_that_are_not_well_formed_are_read(tmp_path: Path) -> None:
    text = """
Resources:
  F: {Type: AWS::Lambda::Function, Properties: {Layers: [!Ref Without]}}
  Without: {Type: }
  Shop: {Type: AWS::ApiGateway::RestApi, Properties: {BinaryMediaTypes: true}}
"""
    assert function(written(tmp_path, text)).layers == (Layer("Without"),)


@pytest.mark.parametrize(
    ("properties", "what"),
    [
        ("Timeout: soon", "a Timeout of 'soon'"),
        ("MemorySize: true", "a MemorySize of 'true'"),
        ("EphemeralStorage: {Size: 1.5}", "an EphemeralStorage of '1.5'"),
    ],
)
def test_a_number_is_a_whole_one(tmp_path: Path, properties: str, what: str) -> None:
    text = f"Resources: {{F: {{Type: AWS::Lambda::Function, Properties: {{{properties}}}}}}}"
    with pytest.raises(TemplateError, match=f"^F of .* has {what}: give a whole number"):
        function(written(tmp_path, text))


def test_numbers_that_only_cloudformation_knows_are_lambdas(tmp_path: Path) -> None:
    unknown = "{Timeout: !Ref A, MemorySize: !Ref B, EphemeralStorage: {Size: !Ref C}}"
    text = f"Resources: {{F: {{Type: AWS::Lambda::Function, Properties: {unknown}}}}}"
    found = function(written(tmp_path, text))
    assert (found.timeout, found.memory, found.storage) == (3, 128, 512)


def test_functions_that_are_not_well_formed_have_defaults(tmp_path: Path) -> None:
    broken = {
        "Type": "AWS::Serverless::Function",
        "Properties": {
            "Layers": 5, "Timeout": {"Fn::If": "x"}, "Environment": [], "Architectures": {},
            "Events": {"E": 5, "F": {"Type": "Api", "Properties": 5}}, "Runtime": {"Fn::Select": 1},
            "FunctionUrlConfig": 5, "CodeUri": {"Fn::Sub": 5}, "Handler": {"Fn::FindInMap": [1, 2]},
        },
    }  # fmt: skip
    found = function(written(tmp_path, json.dumps({"Resources": {"F": broken}}), "t.json"))
    assert (found.runtime, found.handler, found.timeout, found.code) == ("", "", 3, None)
