"""What a store's URL says, and how it is shown to people: without its password."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

from lamella import values

TIMEOUT = 5.0
"""Seconds that one operation may take, where the URL has no `timeout`."""

_KINDS = {
    **dict.fromkeys(("redis", "rediss", "valkey", "valkeys"), "redis"),
    **dict.fromkeys(("postgresql", "postgres"), "postgresql"),
}

_SHAPES = {
    "dynamodb": "dynamodb://TABLE",
    "s3": "s3://BUCKET/PREFIX",
    "redis": "redis://USER:PASSWORD@HOST:6379/0",
    "postgresql": "postgresql://USER:PASSWORD@HOST/DATABASE",
    "sqlite": "sqlite:///relative.db or sqlite:////absolute/path.db",
    "memory": "memory:",
}

_OPTIONS = {
    "dynamodb": ("region", "endpoint"),
    "s3": ("region", "endpoint"),
    "redis": ("db", "ssl_ca_certs", "ssl_cert_reqs", "ssl_check_hostname"),
    # Of libpq's those that asyncpg and psycopg both read.
    "postgresql": (
        *("host", "port", "sslmode", "sslrootcert", "sslcert", "sslkey"),
        *("target_session_attrs", "application_name", "options"),
    ),
}

_HOST = r"(?:[^:/@\[\]]*|\[[^]@]*\])(?::\d*)?"
_SERVER = re.compile(rf"(?:(?:[^%@]|%[0-9A-Fa-f]{{2}})*@)?{_HOST}(?:,{_HOST})*")
"""What stands between `//` and the path: userinfo and hosts, which libpq takes several of."""


class Address(NamedTuple):
    """A parsed URL. `host` and `path` are decoded and keep their case; `driver_url` is for the
    drivers and has the password; `shown` is for people; `timeout` is in seconds."""

    kind: str
    host: str
    path: str
    options: Mapping[str, str]
    timeout: float
    driver_url: str
    shown: str

    def __repr__(self) -> str:
        return f"Address({self.shown!r})"  # without the password


def parse(url: str) -> Address:
    """Read a store's URL. Raises ValueError with what is allowed, and never with a password."""
    try:
        parts = urlsplit(url)
    except ValueError:  # its text may hold the password
        raise ValueError("this is not a URL: percent-encode what is special in it") from None
    scheme = parts.scheme
    if scheme not in values.STORE_SCHEMES:
        raise ValueError("use one of " + ", ".join(_SHAPES.values()))
    kind = _KINDS.get(scheme, scheme)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    timeout = values.to_seconds(options.pop("timeout", TIMEOUT))
    _check(kind, parts.netloc, parts.path, options, parts.fragment)
    return Address(
        kind=kind,
        host=unquote(parts.netloc.rpartition("@")[2]),
        path=unquote(parts.path[1:]),
        options=options,
        timeout=timeout,
        driver_url=urlunsplit((scheme, parts.netloc, parts.path, urlencode(options), "")),
        shown=redacted(url),
    )


def redacted(url: str) -> str:
    """The URL with `***` for a password, whether or not the URL is a right one."""
    without = re.sub(r"(?s)^([^:]*:/*[^:@]*):.*@", r"\1:***@", url)
    return re.sub(r"(?i)([?&][^=&]*password=)[^&]*", r"\1***", without)


def _check(kind: str, netloc: str, path: str, options: Mapping[str, str], fragment: str) -> None:
    """Raise ValueError where a kind's parts are not there, or are not all that is there."""
    allowed = ("timeout", *_OPTIONS.get(kind, ()))
    if fragment or not _SERVER.fullmatch(netloc) or "@" in path:
        raise ValueError(
            f"write it as {_SHAPES[kind]}, and percent-encode / @ : # ? % in user and password"
        )
    has = bool(netloc), bool(path.strip("/"))  # a server, a path
    complete = {
        "sqlite": [(False, True)],
        "dynamodb": [(True, False)],
        "s3": [(True, True)],  # what is under a prefix `lamella websocket init` lets expire
        "memory": [(False, False)],
    }
    if kind in complete and has not in complete[kind]:
        raise ValueError(f"write it as {_SHAPES[kind]}")
    if not options.keys() <= set(allowed):
        raise ValueError("the options it may have are " + ", ".join(allowed))
