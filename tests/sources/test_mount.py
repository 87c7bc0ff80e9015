"""Stages, mappings and base paths: what is in front of the application's own path."""

from __future__ import annotations

from typing import Any

import pytest

from lamella.sources.preparation import mount
from lamella.types import Event, Request
from lamella.values import to_base_path
from tests.sources import builders
from tests.sources.builders import decode


@pytest.mark.parametrize(
    ("event", "path", "root_path"),
    [
        pytest.param(
            builders.http_event("prod", rawPath="/prod/x"), "/prod/x", "/prod", id="http-stage"
        ),
        pytest.param(
            builders.http_event("prod", rawPath="/prod"), "/prod", "/prod", id="http-stage-alone"
        ),
        pytest.param(
            builders.http_event("prod", rawPath="/product"), "/product", "", id="http-border"
        ),
        pytest.param(builders.http_event("prod", rawPath="/x"), "/x", "", id="http-not-in-path"),
        pytest.param(builders.http_event(rawPath="/$default/x"), "/$default/x", "", id="default"),
        pytest.param(
            builders.http_v1_event("prod", path="/prod/x"), "/prod/x", "/prod", id="http-v1-stage"
        ),
        pytest.param(builders.url_event(rawPath="/live/x"), "/live/x", "", id="url-has-none"),
        pytest.param(
            builders.rest_event(), "/live/capture/space value", "/live", id="rest-default-domain"
        ),
        pytest.param(
            builders.custom_domain_event("/v1/capture/space%20value"),
            "/v1/capture/space value",
            "/v1",
            id="rest-custom-domain-with-base-path",
        ),
        pytest.param(
            builders.custom_domain_event("/v1/live/capture/space%20value"),
            "/v1/live/capture/space value",
            "/v1/live",
            id="rest-custom-domain-with-base-path-and-stage-in-the-path",
        ),
        pytest.param(
            builders.custom_domain_event("/capture/space%20value"),
            "/capture/space value",
            "",
            id="rest-custom-domain-without-base-path",
        ),
        pytest.param(
            builders.custom_domain_event(
                "/shop/items/5/", resource="/items/{id}", pathParameters={"id": "5"}
            ),
            "/shop/items/5/",
            "/shop",
            id="rest-resource-template-and-trailing-slash",
        ),
        pytest.param(
            builders.custom_domain_event("/shop", resource="/", pathParameters=None),
            "/shop",
            "/shop",
            id="rest-root-resource-behind-a-mapping",
        ),
        pytest.param(
            builders.custom_domain_event("/", resource="/", pathParameters=None),
            "/",
            "",
            id="rest-root-resource",
        ),
        pytest.param(
            builders.custom_domain_event("/shop//x", pathParameters={"proxy": "/x"}),
            "/shop//x",
            "/shop",
            id="rest-two-slashes-behind-a-mapping",
        ),
        pytest.param(
            builders.custom_domain_event("//x", pathParameters={"proxy": "/x"}),
            "//x",
            "",
            id="rest-two-slashes-and-no-mapping",
        ),
        pytest.param(
            builders.custom_domain_event("/x/y", pathParameters={"proxy": "other"}),
            "/x/y",
            "",
            id="rest-resource-that-is-not-the-tail",
        ),
        pytest.param(
            builders.custom_domain_event("/live/y", pathParameters=None),
            "/live/y",
            "/live",
            id="rest-without-parameters-falls-back-to-the-stage",
        ),
    ],
)
def test_the_codec_finds_stage_and_mapping(event: Event, path: str, root_path: str) -> None:
    request = decode(event)
    assert (request.path, request.root_path) == (path, root_path)


def test_rest_root_on_the_default_domain_keeps_its_slash() -> None:
    event = builders.rest_event(path="/", resource="/", pathParameters=None)
    event["requestContext"]["path"] = "/live/"
    request = decode(event)
    assert (request.path, request.raw_path, request.root_path) == ("/live/", b"/live/", "/live")


@pytest.mark.parametrize(
    ("base_path", "normal"),
    [("api", "/api"), ("/api/", "/api"), ("/api", "/api"), ("/", ""), ("", ""), ("a/b/", "/a/b")],
)
def test_base_paths_have_one_spelling(base_path: str, normal: str) -> None:
    assert to_base_path(base_path) == normal


def request_for(path: str, raw_path: bytes | None = None, root_path: str = "") -> Request:
    raw = path.encode() if raw_path is None else raw_path
    return Request("GET", path, raw, b"", [], b"", root_path=root_path)


@pytest.mark.parametrize(
    ("path", "base_path", "stripped"),
    [
        pytest.param("/apifoo/x", "/api", None, id="E1-only-at-a-segment-border"),
        pytest.param("/api/x", "/api/", "/x", id="E2-trailing-slash-in-the-setting"),
        pytest.param("/api/x", "api", "/x", id="E2-no-leading-slash-in-the-setting"),
        pytest.param("/api", "/api", "/", id="E2-never-empty"),
        pytest.param("/api/", "/api", "/", id="slash-only"),
        pytest.param("/API/x", "/api", None, id="case-matters"),
        pytest.param("/other", "/api", None, id="outside"),
        pytest.param("/x", "/", None, id="no-base-path"),
    ],
)
def test_both_modes_match_alike(path: str, base_path: str, stripped: str | None) -> None:
    request = request_for(path)
    base = to_base_path(base_path)  # as the setting's parser does
    in_mount = mount(request, base, "mount")
    in_strip = mount(request, base, "strip")
    if stripped is None:
        assert in_mount == in_strip == request
    else:
        assert in_mount == request._replace(root_path=base)
        assert in_strip == request._replace(path=stripped, raw_path=stripped.encode())


@pytest.mark.parametrize(
    ("raw_path", "cut"),
    [
        (b"/caf%C3%A9/x", b"/x"),
        (b"/caf%c3%a9/a%2Fb", b"/a%2Fb"),
        (b"/%63af%C3%A9/x", b"/x"),
        (b"/caf%C3%A9%2Fx", b"/x"),
        (b"/caf%C3%A9", b"/"),
        (b"/something-else/x", b"/x"),
    ],
)
def test_raw_path_is_cut_where_the_path_is(raw_path: bytes, cut: bytes) -> None:
    path = "/café" if raw_path == b"/caf%C3%A9" else "/café/x"
    if b"a%2Fb" in raw_path:
        path = "/café/a/b"
    request = mount(request_for(path, raw_path), "/café", "strip")
    assert request.raw_path == cut
    assert request.path == path[len("/café") :] or "/"


def test_C_mode_mount_is_what_uvicorn_does() -> None:
    """Row A of the matrix: path and raw_path whole, root_path the prefix."""
    request = mount(decode(builders.url_event(rawPath="/api/a%20b")), "/api", "mount")
    assert (request.path, request.raw_path, request.root_path) == (
        "/api/a b",
        b"/api/a%20b",
        "/api",
    )


def test_C_mode_strip_is_for_applications_that_ignore_root_path() -> None:
    """Row C of the matrix: everything as if the prefix were not there."""
    request = mount(decode(builders.url_event(rawPath="/api/a%20b")), "/api", "strip")
    assert (request.path, request.raw_path, request.root_path) == ("/a b", b"/a%20b", "")


@pytest.mark.parametrize("name", builders.HTTP_EVENTS)
def test_E3_D13_one_rule_for_all_sources(name: str) -> None:
    build: Any = builders.HTTP_EVENTS[name]
    keys = {"url": "rawPath", "http": "rawPath", "edge": "uri", "lattice-v1": "raw_path"}
    event = build(**{keys.get(name, "path"): "/api/x"})
    stage = ""
    if name == "rest":
        stage = "/live"
        event["requestContext"]["path"] = "/live/api/x"
    request = decode(event)
    assert mount(request, "/api", "mount").root_path == stage + "/api"
    stripped = mount(request, "/api", "strip")
    assert (stripped.path, stripped.raw_path, stripped.root_path) == ("/x", b"/x", "")


def test_E3_a_base_path_follows_the_stage() -> None:
    request = decode(builders.http_event("prod", rawPath="/prod/api/x"))
    assert mount(request, "/api", "mount").root_path == "/prod/api"
    assert mount(request, "/api", "strip").path == "/x"


def test_a_base_path_does_not_hide_the_stage() -> None:
    request = decode(builders.http_event("prod", rawPath="/prod/other"))
    assert mount(request, "/api", "mount").root_path == "/prod"
    assert mount(request, "/api", "strip").path == "/other"


def test_stripping_a_mapping_that_is_also_the_base_path() -> None:
    request = decode(builders.custom_domain_event("/v1/capture/space%20value"))
    assert mount(request, "/v1", "mount").root_path == "/v1"
    stripped = mount(request, "/v1", "strip")
    assert (stripped.path, stripped.raw_path) == ("/capture/space value", b"/capture/space%20value")


def test_the_stage_of_a_rest_api_is_stripped_without_any_base_path() -> None:
    stripped = mount(decode(builders.rest_event()), "", "strip")
    assert (stripped.path, stripped.root_path) == ("/capture/space value", "")
