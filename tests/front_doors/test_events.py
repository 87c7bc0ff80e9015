"""Each front door's event for one adversarial request, held against what AWS sent for it.

The request is that of the `voker-live__*.json` captures (July 2026). Where the folder with the
captures is not there, the comparison with them is skipped; the literal expectations stay.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from lamella.front_doors import (
    FrontDoor,
    FunctionUrl,
    HttpApi,
    HttpRequest,
    HttpResponse,
    Lattice,
    LoadBalancer,
    Malformed,
    RestApi,
)
from lamella.front_doors.door import Refused

CAPTURES = Path(__file__).resolve().parents[3] / "shared" / "events"
PATH = "/capture/space%20value"
QUERY = (
    "repeat=one&repeat=two&redirect=https%3A%2F%2Fexample.com%2Fa%2Fb"
    "&literalPlus=a+b&encodedPlus=a%2Bb&empty="
)
BODY = '{"message":"hello from the public internet","unicode":"lambda-λ"}'.encode()
PAYLOAD = b'{"statusCode": 200}'


def request(path: str = PATH, **changes: Any) -> HttpRequest:
    fields: dict[str, Any] = {
        "method": "POST",
        "raw_path": path,
        "query": QUERY,
        "headers": [
            ("host", "127.0.0.1:3000"),
            ("user-agent", "curl/8.7.1"),
            ("accept", "*/*"),
            ("content-type", "application/json"),
            ("content-length", "66"),
            ("cookie", "session=abc123; theme=dark"),
            ("x-voker-probe", "first"),
            ("x-voker-probe", "second"),
        ],
        "body": BODY,
        "client_ip": "203.0.113.7",
    }
    return HttpRequest(**{**fields, **changes})


def typed(content_type: str | None, body: bytes, **extra: str) -> HttpRequest:
    headers = [] if content_type is None else [("content-type", content_type)]
    headers += [(name.replace("_", "-"), value) for name, value in extra.items()]
    return request("/", headers=headers, body=body)


def captured(name: str) -> dict[str, Any]:
    path = CAPTURES / f"voker-live__{name}-request.json"
    if not path.exists():
        pytest.skip(f"the captures are not at {CAPTURES}")
    value = json.loads(path.read_text())
    assert isinstance(value, dict)
    return value


def header_names(headers: dict[str, Any]) -> set[str]:
    """Names but those that tell of TLS, which is not spoken here."""
    return {name for name in headers if not name.lower().startswith("x-amzn-tls-")}


@pytest.mark.parametrize(
    ("name", "door", "path"),
    [
        ("functionurl", FunctionUrl(), PATH),
        ("apigwv2", HttpApi(), PATH),
        ("apigwv1", RestApi("live", binary_media_types=()), f"/live{PATH}"),
        ("alb", LoadBalancer(multi_value=True), PATH),
    ],
)
def test_events_are_as_captured_on_aws(name: str, door: FrontDoor, path: str) -> None:
    theirs, ours = captured(name), json.loads(json.dumps(door.event(request(path))))
    same = """
        version routeKey rawPath rawQueryString cookies path httpMethod resource body
        isBase64Encoded queryStringParameters multiValueQueryStringParameters pathParameters
    """
    for key in same.split():
        assert ours.get(key) == theirs.get(key), key
    for key in ("headers", "multiValueHeaders"):
        if theirs.get(key) is None:
            assert key not in ours
        else:
            assert header_names(ours[key]) == header_names(theirs[key])
            for header in ("cookie", "content-type", "x-voker-probe", "content-length"):
                assert ours[key].get(header) == theirs[key].get(header), header
    for key in ("path", "resourcePath", "stage", "httpMethod", "routeKey", "protocol"):
        assert ours["requestContext"].get(key) == theirs["requestContext"].get(key), key
    assert ours["requestContext"].get("http") == theirs["requestContext"].get("http")
    assert set(ours["requestContext"]) <= set(theirs["requestContext"])


def test_a_function_urls_path_is_as_sent_and_its_copy_decoded() -> None:
    event = FunctionUrl().event(request())
    assert event["rawPath"] == PATH
    assert event["requestContext"]["http"]["path"] == "/capture/space value"
    assert ".lambda-url." in event["requestContext"]["domainName"]
    assert event["headers"]["cookie"] == "session=abc123; theme=dark"


def test_an_http_apis_path_is_decoded_and_its_cookies_moved() -> None:
    event = HttpApi().event(request("/a%2Fb%3Fc"))
    assert event["rawPath"] == "/a/b", "a decoded ? cuts the path short"
    assert event["cookies"] == ["session=abc123", "theme=dark"]
    assert "cookie" not in event["headers"]
    assert event["headers"]["x-voker-probe"] == "first,second"


def test_optional_fields_of_payload_2_are_left_out_when_empty() -> None:
    event = HttpApi().event(HttpRequest("GET", "/", "", [("host", "h")]))
    assert event.keys().isdisjoint({"cookies", "queryStringParameters", "body"})
    assert event["isBase64Encoded"] is False


def test_a_named_stage_of_an_http_api_is_in_the_path() -> None:
    door = HttpApi("dev")
    assert door.event(request("/dev/x"))["rawPath"] == "/dev/x"
    assert door.base_url("http://h") == "http://h/dev"
    with pytest.raises(Refused):
        door.event(request("/developer/x"))


def test_a_mapping_key_of_an_http_api_is_not() -> None:
    assert HttpApi("dev", "/shop").event(request("/shop/dev/x"))["rawPath"] == "/dev/x"


def test_a_rest_apis_stage_is_in_the_context_only() -> None:
    event = RestApi("prod").event(request("/prod/a%20b"))
    assert event["path"] == "/a%20b"
    assert event["pathParameters"] == {"proxy": "a%20b"}
    assert event["requestContext"]["path"] == "/prod/a%20b"
    with pytest.raises(Refused):
        RestApi("prod").event(request("/a%20b"))


def test_a_rest_apis_root_has_no_path_parameters() -> None:
    event = RestApi("prod").event(request("/prod"))
    assert (event["resource"], event["path"], event["pathParameters"]) == ("/", "/", None)


def test_a_base_path_of_a_rest_api_is_in_both_paths() -> None:
    event = RestApi("prod", "/shop").event(request("/shop/x"))
    assert event["path"] == event["requestContext"]["path"] == "/shop/x"


def test_a_load_balancer_passes_path_and_query_as_sent_and_the_last_of_each() -> None:
    event = LoadBalancer().event(request())
    assert event["path"] == PATH
    assert event["queryStringParameters"]["repeat"] == "two"
    assert event["queryStringParameters"]["redirect"] == "https%3A%2F%2Fexample.com%2Fa%2Fb"
    assert event["headers"]["x-voker-probe"] == "second"
    assert "multiValueHeaders" not in event


def test_lattice_v2_lists_values_and_v1_joins_them() -> None:
    event = Lattice().event(request())
    assert (event["version"], event["path"]) == ("2.0", PATH)
    assert event["headers"]["x-voker-probe"] == ["first", "second"]
    assert event["queryStringParameters"]["repeat"] == ["one", "two"]
    old = Lattice(version=1).event(request())
    assert old["raw_path"] == f"{PATH}?{QUERY}"
    assert old["headers"]["x-voker-probe"] == "first, second"
    assert old["query_string_parameters"]["repeat"] == "two"


@pytest.mark.parametrize("door", [FunctionUrl(), HttpApi()])
@pytest.mark.parametrize(
    ("content_type", "encoded"),
    [
        ("application/json", False),
        ("text/csv; charset=utf-8", False),
        ("application/xml", False),
        ("application/x-www-form-urlencoded", True),
        ("multipart/form-data; boundary=x", True),
        ("image/png", True),
        (None, True),
    ],
)
def test_which_bodies_of_payload_2_are_base64(
    door: FrontDoor, content_type: str | None, encoded: bool
) -> None:
    event = door.event(typed(content_type, b"a=b"))
    assert event["isBase64Encoded"] is encoded
    assert event["body"] == ("YT1i" if encoded else "a=b")


def test_a_rest_apis_bodies_are_base64_by_binary_media_type() -> None:
    def encoded(*types: str) -> bool:
        event = RestApi("s", binary_media_types=types).event(
            request("/s/", headers=[("content-type", "image/png")], body=b"\x89")
        )
        assert event["body"] == ("iQ==" if event["isBase64Encoded"] else "\ufffd")
        return bool(event["isBase64Encoded"])

    assert [encoded("*/*"), encoded("image/*"), encoded("image/png")] == [True] * 3
    assert [encoded(), encoded("image/gif")] == [False] * 2


def test_a_compressed_body_behind_a_load_balancer_is_base64() -> None:
    plain = LoadBalancer().event(typed("application/json", b"{}"))
    packed = LoadBalancer().event(typed("application/json", b"{}", content_encoding="gzip"))
    assert [plain["isBase64Encoded"], packed["isBase64Encoded"]] == [False, True]


def test_the_clients_address_is_appended_to_x_forwarded_for() -> None:
    event = FunctionUrl().event(typed(None, b"", x_forwarded_for="198.51.100.1"))
    assert event["headers"]["x-forwarded-for"] == "198.51.100.1, 203.0.113.7"


# From results to responses


def answered(door: FrontDoor, result: Any, **changes: Any) -> HttpResponse:
    return door.response(json.dumps(result).encode(), request(**changes))


@pytest.mark.parametrize("door", [FunctionUrl(), HttpApi()])
def test_payload_2_responses(door: FrontDoor) -> None:
    got = answered(
        door,
        {
            "statusCode": 201,
            "headers": {"X-A": 1, "Content-Type": "image/png", "Content-Length": "99"},
            "cookies": ["a=1", "b=2; Path=/"],
            "body": base64.b64encode(b"\x89").decode(),
            "isBase64Encoded": True,
        },
    )
    assert got.status == 201
    assert got.body == b"\x89"
    assert got.headers == [
        ("x-a", "1"),
        ("content-type", "image/png"),
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2; Path=/"),
    ]


@pytest.mark.parametrize(
    ("result", "body"), [({"a": [1]}, b'{"a": [1]}'), ("hi", b"hi"), (None, b"null"), ([], b"[]")]
)
def test_json_without_a_status_code_is_a_200(result: Any, body: bytes) -> None:
    got = answered(HttpApi(), result)
    assert got == HttpResponse(200, [("content-type", "application/json")], body)


def test_a_function_url_renames_www_authenticate() -> None:
    headers = {"WWW-Authenticate": "Basic", "content-type": "x/y"}
    got = answered(FunctionUrl(), {"statusCode": 401, "headers": headers})
    assert ("x-amzn-remapped-www-authenticate", "Basic") in got.headers


def test_a_rest_api_merges_both_header_maps() -> None:
    got = answered(
        RestApi(),
        {
            "statusCode": "200",
            "headers": {"A": "single", "B": "lost", "Server": "s", "Via": "v"},
            "multiValueHeaders": {"b": ["1", "2"], "set-cookie": ["x=1", "y=2"]},
        },
    )
    assert got.headers == [
        ("content-type", "application/json"),
        ("a", "single"),
        ("x-amzn-remapped-server", "s"),
        ("b", "1"),
        ("b", "2"),
        ("set-cookie", "x=1"),
        ("set-cookie", "y=2"),
    ]


def test_a_rest_api_decodes_base64_only_for_an_accepted_binary_type() -> None:
    result = {"statusCode": 200, "body": "iQ==", "isBase64Encoded": True}
    png = RestApi(binary_media_types=("image/png",))
    accepts_png = answered(png, result, headers=[("accept", "image/png, text/html")])
    accepts_html = answered(png, result, headers=[("accept", "text/html, image/png")])
    assert accepts_png.body == b"\x89"
    assert accepts_html.body == b"iQ==", "only the first type of Accept counts"
    assert answered(RestApi(), result, headers=[]).body == b"\x89"


def test_a_load_balancer_takes_only_the_header_map_of_its_mode() -> None:
    result = {
        "statusCode": 200,
        "statusDescription": "200 OK",
        "headers": {"a": "single"},
        "multiValueHeaders": {"a": ["1", "2"]},
    }
    assert ("a", "single") in answered(LoadBalancer(), result).headers
    multi = answered(LoadBalancer(multi_value=True), result).headers
    assert [value for name, value in multi if name == "a"] == ["1", "2"]


@pytest.mark.parametrize(
    ("door", "result", "message"),
    [
        (RestApi(), {"statusCode": 200, "cookies": []}, "refuses the keys"),
        (RestApi(), {"statusCode": 200, "body": {}}, "body is a JSON dict"),
        (RestApi(), {"body": "x"}, "statusCode is None"),
        (RestApi(), "text", "not an object"),
        (RestApi(), {"statusCode": 200, "multiValueHeaders": {"a": "b"}}, "not a list"),
        (HttpApi(), {"statusCode": "many"}, "statusCode is 'many'"),
        (HttpApi(), {"statusCode": 200, "headers": {"a": ["b"]}}, "not a text"),
        (HttpApi(), {"statusCode": 200, "cookies": "a=1"}, "cookies is 'a=1'"),
        (HttpApi(), {"statusCode": 200, "body": "!", "isBase64Encoded": True}, "not base64"),
        (LoadBalancer(), {"statusCode": 200, "statusDescription": 1}, "statusDescription"),
        (LoadBalancer(), {"statusCode": 200, "body": "x" * 2**20}, "over the limit"),
        (Lattice(), {"statusCode": 99}, "from 200 to 599"),
    ],
)
def test_results_that_a_source_refuses(door: FrontDoor, result: Any, message: str) -> None:
    with pytest.raises(Malformed, match=message):
        answered(door, result)


def test_a_result_that_is_not_json_is_malformed() -> None:
    with pytest.raises(Malformed, match="not JSON"):
        HttpApi().response(b'{"statusCode":200}\0\0\0\0\0\0\0\0body', request())


def test_a_buffered_rest_api_loses_the_body_of_a_streamed_answer() -> None:
    got = RestApi().response(b'{"statusCode":202}' + bytes(8) + b"body", request())
    assert (got.status, got.body) == (202, b"")


@pytest.mark.parametrize("door", [HttpApi(), LoadBalancer(), Lattice()])
def test_sources_that_do_not_stream_say_so(door: FrontDoor) -> None:
    with pytest.raises(Malformed, match="no streamed answers"):
        door.stream_head({"statusCode": 200})
