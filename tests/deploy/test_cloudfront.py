"""CloudFront in front of a Function URL: its functions, and what they give back to the application.

CloudFront's own part is not played here: what its functions get and return is.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from lamella.testing import LambdaTransport
from tests.deploy.projects import DEPLOY, ROOT, hcl, run

PROJECT = DEPLOY / "cloudfront"
NODE = shutil.which("node")

needs_node = pytest.mark.skipif(
    NODE is None, reason="CloudFront's functions need Node.js: apt-get install nodejs"
)


class Loader(yaml.SafeLoader):
    """Reads CloudFormation's short tags as the text or the list behind them."""


def _plain(loader: Loader, _suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return node.value
    return loader.construct_sequence(node, deep=True)  # type: ignore[arg-type]


Loader.add_multi_constructor("!", _plain)


@pytest.fixture(scope="module")
def resources() -> dict[str, Any]:
    template = yaml.load((PROJECT / "template.yaml").read_text(), Loader)
    return {name: each["Properties"] for name, each in template["Resources"].items()}


@pytest.fixture(scope="module")
def terraform() -> dict[str, dict[str, Any]]:
    return hcl(PROJECT / "main.tf")


def at_the_edge(tmp_path: Path, headers: dict[str, str]) -> dict[str, str]:
    """The headers of a viewer's request, after the CloudFront function."""
    event = {"request": {"headers": {name: {"value": value} for name, value in headers.items()}}}
    script = tmp_path / "edge.js"
    function = (PROJECT / "viewer-request.js").read_text()
    script.write_text(f"{function}\nconsole.log(JSON.stringify(handler({json.dumps(event)})));\n")
    told = json.loads(run(NODE, script, cwd=tmp_path))
    return {name: each["value"] for name, each in told["headers"].items()}


def challenge(headers: dict[str, str]) -> dict[str, str]:
    """The headers of the origin's response, after Lambda@Edge."""
    spec = importlib.util.spec_from_file_location("challenge", PROJECT / "challenge" / "index.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    listed = {name: [{"key": name, "value": value}] for name, value in headers.items()}
    event = {"Records": [{"cf": {"response": {"status": "401", "headers": listed}}}]}
    told = module.handler(event, None)["headers"]
    return {name: each[0]["value"] for name, each in told.items()}


@pytest.fixture
def client(resources: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[httpx.Client]:
    """The example behind its Function URL, with the settings of the template."""
    pytest.importorskip("fastapi")
    monkeypatch.chdir(PROJECT / "app")
    monkeypatch.syspath_prepend(str(PROJECT / "app"))
    monkeypatch.delitem(sys.modules, "main", raising=False)
    app = importlib.import_module("main").app
    variables = resources["Function"]["Environment"]["Variables"]
    settings = {name.removeprefix("ASGI_").lower(): value for name, value in variables.items()}
    transport = LambdaTransport(app, source="url", **settings)
    with httpx.Client(transport=transport, base_url=transport.base_url) as client:
        yield client
    sys.modules.pop("main", None)


@needs_node
def test_a_password_goes_through_and_so_does_the_question_for_it(
    client: httpx.Client, tmp_path: Path
) -> None:
    """The browser's way: a 401 that asks, then a request with `authorization`."""
    asked = client.get("/secret", headers=at_the_edge(tmp_path, {"host": "www.example"}))
    assert asked.status_code == 401
    assert "www-authenticate" not in asked.headers, "Function URLs rename it"
    assert challenge(dict(asked.headers))["www-authenticate"] == "Basic"

    basic = "Basic dXNlcjpwYXNz"
    headers = at_the_edge(tmp_path, {"host": "www.example", "authorization": basic})
    headers["authorization"] = "AWS4-HMAC-SHA256 Credential=..."  # CloudFront's
    assert client.get("/secret", headers=headers).json() == {"user": "user"}


@needs_node
def test_the_application_has_the_address_of_the_browser(
    client: httpx.Client, tmp_path: Path
) -> None:
    """And a client can choose neither it nor the header of the token."""
    sent = {"host": "www.example", "x-forwarded-host": "evil", "x-viewer-authorization": "evil"}
    headers = at_the_edge(tmp_path, sent)
    assert "x-viewer-authorization" not in headers
    del headers["host"]  # that of the Function URL
    told = client.post("/echo", content=b"hello", headers=headers).json()
    assert told == {"got": "hello", "url": "https://www.example/echo"}


def test_lambda_at_edge_leaves_other_responses_alone() -> None:
    assert challenge({"etag": "1"}) == {"etag": "1"}


@needs_node
def test_the_page_sends_the_hash_of_the_body(tmp_path: Path) -> None:
    shutil.copy(PROJECT / "app" / "static" / "signed-fetch.js", tmp_path / "signed-fetch.mjs")
    (tmp_path / "main.mjs").write_text("""
import { signedFetch } from "./signed-fetch.mjs";
globalThis.location = { href: "https://www.example/page" };
globalThis.fetch = async (request) => ({
    url: request.url, method: request.method, body: await request.text(),
    headers: Object.fromEntries(request.headers),
});
const options = { method: "POST", body: "h\\u00e9llo", headers: { "x-mine": "1" } };
console.log(JSON.stringify(await signedFetch("/echo", options)));
""")
    told = json.loads(run(NODE, "main.mjs", cwd=tmp_path))
    assert (told["url"], told["method"]) == ("https://www.example/echo", "POST")
    assert told["body"] == "héllo"
    assert told["headers"]["x-mine"] == "1"
    digest = hashlib.sha256("héllo".encode()).hexdigest()
    assert told["headers"]["x-amz-content-sha256"] == digest


def test_the_page_shows_what_is_deployed(resources: dict[str, Any]) -> None:
    page = (ROOT / "docs" / "deploy" / "cloudfront.md").read_text()
    function, fetch = re.findall(r"^```js\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert function == resources["ViewerRequest"]["FunctionCode"]
    assert function == (PROJECT / "viewer-request.js").read_text()
    assert fetch == (PROJECT / "app" / "static" / "signed-fetch.js").read_text()


def test_only_the_distribution_may_call_and_only_the_url(
    resources: dict[str, Any], terraform: dict[str, dict[str, Any]]
) -> None:
    url, invoke = resources["MayInvokeUrl"], resources["MayInvoke"]
    assert url["Action"] == "lambda:InvokeFunctionUrl"
    assert invoke["Action"] == "lambda:InvokeFunction"
    assert invoke["InvokedViaFunctionUrl"] is True
    assert resources["Function"]["FunctionUrlConfig"]["AuthType"] == "AWS_IAM"
    for permission in (url, invoke):
        assert permission["Principal"] == "cloudfront.amazonaws.com"
        assert permission["SourceArn"].endswith(":distribution/${Distribution}")

    permissions = terraform["aws_lambda_permission"]
    url, invoke = permissions["cloudfront_url"], permissions["cloudfront_invoke"]
    assert url["action"] == "lambda:InvokeFunctionUrl"
    assert invoke["action"] == "lambda:InvokeFunction"
    assert invoke["invoked_via_function_url"] is True
    for permission in (url, invoke):
        assert permission["principal"] == "cloudfront.amazonaws.com"
        assert permission["source_arn"] == "${aws_cloudfront_distribution.distribution.arn}"


def test_terraform_has_the_same_distribution(
    resources: dict[str, Any], terraform: dict[str, dict[str, Any]]
) -> None:
    config = resources["Distribution"]["DistributionConfig"]
    distribution = terraform["aws_cloudfront_distribution"]["distribution"]
    ours, theirs = config["DefaultCacheBehavior"], distribution["default_cache_behavior"][0]
    assert theirs["allowed_methods"] == ours["AllowedMethods"]
    (association,) = theirs["function_association"]
    assert association["event_type"] == ours["FunctionAssociations"][0]["EventType"]
    (edge,) = theirs["lambda_function_association"]
    _, ((with_challenge), *_), _ = ours["LambdaFunctionAssociations"]
    assert edge["event_type"] == with_challenge["EventType"] == "origin-response"
    (static,) = config["CacheBehaviors"]
    (theirs,) = distribution["ordered_cache_behavior"]
    assert theirs["path_pattern"] == static["PathPattern"] == "/static/*"
    assert "OriginRequestPolicyId" not in static, "a cookie in the cache key would cache nothing"
    variables = terraform["aws_lambda_function"]["function"]["environment"][0]["variables"]
    assert variables == resources["Function"]["Environment"]["Variables"]
    control = terraform["aws_cloudfront_origin_access_control"]["function"]
    ours = resources["AccessControl"]["OriginAccessControlConfig"]
    assert control["origin_access_control_origin_type"] == ours["OriginAccessControlOriginType"]
    assert control["signing_behavior"] == ours["SigningBehavior"] == "always"
