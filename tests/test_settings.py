"""Settings: one table, two ways in, clear errors."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from lamella import settings
from lamella.errors import SettingError
from lamella.settings import TABLE, Settings, from_arguments, from_environ, misspelt


def test_the_table_and_the_fields_are_the_same_settings_in_the_same_order() -> None:
    assert tuple(row.name for row in TABLE) == Settings._fields


def test_the_keyword_arguments_are_typed_for_every_setting() -> None:
    source = Path(settings.__file__).read_text()
    typed = source.split("class SettingArguments", 1)[1].split("\nclass ", 1)[0]
    missing = [row.name for row in TABLE if f"        {row.name}: " not in typed]
    assert missing == ["app"], "app is Adapter's first argument"


def test_defaults_are_the_same_both_ways() -> None:
    assert from_environ({}) == from_arguments({})


@pytest.mark.parametrize(
    ("variable", "value", "field", "expected"),
    [
        ("ASGI_LIFESPAN", "ON", "lifespan", "on"),
        ("ASGI_LIFESPAN_TIMEOUT", "2.5", "lifespan_timeout", 2.5),
        ("ASGI_INVOKE_MODE", "response_stream", "invoke_mode", "response_stream"),
        ("ASGI_STREAM_SOURCES", "url", "stream_sources", {"url"}),
        ("ASGI_STREAM_KEEPALIVE", "15", "stream_keepalive", 15.0),
        ("ASGI_STREAM_KEEPALIVE", "off", "stream_keepalive", 0.0),
        ("ASGI_BASE_PATH", "api/", "base_path", "/api"),
        ("ASGI_BASE_PATH", "/", "base_path", ""),
        ("ASGI_TEXT_TYPES", " a/b, C/* ,", "text_types", ("a/b", "c/*")),
        ("ASGI_EXCLUDE_HEADERS", "Server, X-A", "exclude_headers", {b"server", b"x-a"}),
        ("ASGI_EVENTS_PATH", "/hooks", "events_path", "/hooks"),
        ("ASGI_EVENTS_PATH", "", "events_path", ""),
        ("ASGI_EVENTS_PATH", "/in/{source}", "events_path", "/in/{source}"),
        ("ASGI_WARMERS", "off", "warmers", False),
        ("ASGI_COMMANDS", "on", "commands", True),
        ("ASGI_EVENTS_FROM_HTTP", "Refuse", "events_from_http", "refuse"),
        ("ASGI_ERROR_STATUS", "500-599, 429", "error_status", (range(500, 600), range(429, 430))),
        ("ASGI_DEADLINE_MARGIN_MS", "0", "deadline_margin_ms", 0),
        ("ASGI_BACKGROUND_TIMEOUT", "3", "background_timeout", 3.0),
        ("ASGI_COMPRESSION", "br,gzip", "compression", ("br", "gzip")),
        ("ASGI_COMPRESSION", "off", "compression", ()),
        ("ASGI_FORWARDED_HOST", "X-Forwarded-Host", "forwarded_host", "x-forwarded-host"),
        ("ASGI_FORWARDED_HOST", "off", "forwarded_host", ""),
        ("ASGI_LOG_ACCESS", "off", "log_access", False),
        (
            "ASGI_WARMUP",
            "/Health, https://a.example/b?c=d",
            "warmup",
            ("/Health", "https://a.example/b?c=d"),
        ),
        ("ASGI_DATADOG_EXTENSION", "on", "datadog_extension", "127.0.0.1:8124"),
        ("ASGI_DATADOG_EXTENSION", "off", "datadog_extension", ""),
        ("ASGI_DATADOG_EXTENSION", "localhost:9124", "datadog_extension", "localhost:9124"),
        ("ASGI_LIFESPAN", "", "lifespan", "auto"),
    ],
)
def test_values(variable: str, value: str, field: str, expected: Any) -> None:
    assert getattr(from_environ({variable: value}), field) == expected


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("lifespan", "sometimes", "use auto or on or off"),
        ("lifespan", None, "use auto or on or off"),
        ("lifespan_timeout", "soon", "a number of seconds above 0"),
        ("lifespan_timeout", "-1", "a number of seconds above 0"),
        ("lifespan_timeout", "nan", "a number of seconds above 0"),
        ("stream_sources", "url,alb", "list of url, rest"),
        ("stream_keepalive", "on", "use off, or a number of seconds above 0, for example 15"),
        ("text_types", 5, "a comma-separated list"),
        ("text_types", "foo", "'foo' is no media type: use type/subtype, type/*, or +suffix"),
        ("text_types", "image/svg, */*", "'*/*' is no media type"),
        ("text_types", "+", "'+' is no media type"),
        ("forwarded_host", "on", "the name of a header, for example x-forwarded-host, or off"),
        ("authorization_source", "true", "the name of a header"),
        ("text_types", [b"a/b"], "a comma-separated list of strings"),
        ("exclude_headers", "a b", "a header name"),
        ("events_path", "events", "a path that begins with /"),
        ("events_path", "/events/{queue}", "no braces but in a segment {source}"),
        ("events_path", "/events-{source}", "for example /events/{source}"),
        ("warmup", "health", "'health' is no path: use what stands behind the host"),
        ("warmup", "https://example.com", "is no path"),
        ("warmup", "ftp://example.com/", "is no path"),
        ("warmup", "/a b", "percent-encoded"),
        ("error_status", "5xx", "status codes and ranges"),
        ("error_status", "599-500", "the lower one first"),
        ("error_status", "42", "status codes from 100 to 599"),
        ("deadline_margin_ms", "1.5", "a whole number of milliseconds"),
        ("compression", "deflate", "use off, auto, or"),
        ("forwarded_host", "x forwarded host", "a header name"),
        ("base_path", 5, "use a string"),
        ("datadog_extension", "8124", "use on, off, or host:port, for example 127.0.0.1:8124"),
        ("datadog_extension", "localhost:70000", "use on, off, or host:port"),
        ("log_access", "perhaps", "use on or off"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(name: str, value: Any, allowed: str) -> None:
    with pytest.raises(SettingError, match=re.escape(allowed)) as caught:
        from_arguments({name: value})
    assert str(caught.value).startswith(f"{name}={value!r} is not allowed: ")
    if isinstance(value, str):
        with pytest.raises(SettingError, match=re.escape(f"ASGI_{name.upper()}={value!r}")):
            from_environ({f"ASGI_{name.upper()}": value})


def test_arguments_take_natural_types() -> None:
    given = from_arguments(
        {
            "text_types": ["a/b"],
            "log_access": True,
            "background_timeout": 1,
            "lifespan_timeout": None,
            "exclude_headers": {"Server"},
        }
    )
    assert given.text_types == ("a/b",)
    assert given.log_access is True
    assert given.exclude_headers == {b"server"}


def test_an_unknown_argument_names_the_nearest() -> None:
    with pytest.raises(TypeError, match=r"'api_base_path' is not a .* mean base_path"):
        from_arguments({"api_base_path": "/api"})


def test_a_misspelt_variable_is_a_warning_and_a_stranger_is_not() -> None:
    environ = {"ASGI_LIFESPANN": "on", "ASGI_THREADS": "4", "ASGI_EXEC_WRAPPER": "/opt/x"}
    assert misspelt(environ) == [
        "ASGI_LIFESPANN is not a setting of Lamella. Did you mean ASGI_LIFESPAN?"
    ]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rediss//user:hunter2@cache:6379", "'***@cache:6379'"),
        ("mysql://user:hunter2@db/name", "'***@db/name'"),
        ("mongodb", "'mongodb'"),
    ],
)
def test_a_wrong_store_does_not_tell_its_password(url: str, shown: str) -> None:
    with pytest.raises(SettingError) as caught:
        from_environ({"ASGI_WEBSOCKET_STORE": url})
    assert f"ASGI_WEBSOCKET_STORE={shown} is not allowed: use a URL of one of" in str(caught.value)
    assert "hunter2" not in str(caught.value)
