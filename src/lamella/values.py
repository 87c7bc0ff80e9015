"""The values that settings may have: each parser takes a string, or the value itself.

Each raises ValueError with what is allowed; the settings add whose value it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any


def to_text(value: Any) -> str:
    """A string without the white space around it."""
    if isinstance(value, str):
        return value.strip()
    raise ValueError("use a string")


def one_of(*allowed: str) -> Callable[[Any], str]:
    """A parser of one of the words, in any case."""

    def parse(value: Any) -> str:
        if isinstance(value, str) and value.strip().lower() in allowed:
            return value.strip().lower()
        raise ValueError("use " + " or ".join(allowed))

    return parse


def to_flag(value: Any) -> bool:
    """True or False, or a word that says so."""
    words = dict.fromkeys(("on", "true", "1", "auto"), True)
    words |= dict.fromkeys(("off", "false", "0"), False)
    found = value if isinstance(value, bool) else words.get(str(value).strip().lower())
    if found is None:
        raise ValueError("use on or off")
    return found


def to_datadog_extension(value: Any) -> str:
    """`host:port`, or "" for "off". Datadog's extension listens at a port that no variable changes
    (AGENT_PORT in bottlecap/src/lifecycle/listener.rs of DataDog/datadog-lambda-extension)."""
    host, _, port = str(value).strip().rpartition(":")
    if host and port.isdecimal() and 0 < int(port) < 65536:
        return f"{host}:{port}"
    try:
        return "127.0.0.1:8124" if to_flag(value) else ""
    except ValueError:
        raise ValueError("use on, off, or host:port, for example 127.0.0.1:8124") from None


def to_processes(value: Any) -> int | None:
    """A number of processes, or None for "auto"."""
    if value == "auto":
        return None
    text = str(value).strip()
    if not text.isdigit() or not int(text):
        raise ValueError("use auto, or a whole number above 0")
    return int(text)


def to_seconds(value: Any) -> float:
    """A number of seconds above 0."""
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise ValueError("use a number of seconds above 0, for example 9 or 0.5")
    return seconds


def seconds_or(**words: float | None) -> Callable[[Any], float | None]:
    """A parser of a number of seconds above 0, or of a word for another value; None is "auto"."""

    def parse(value: Any) -> float | None:
        word = "auto" if value is None else str(value).strip().lower()
        try:
            return words[word] if word in words else to_seconds(value)
        except ValueError:
            names = ", ".join(words)
            raise ValueError(
                f"use {names}, or a number of seconds above 0, for example 15"
            ) from None

    return parse


def to_milliseconds(value: Any) -> int:
    """A whole number of milliseconds."""
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = -1
    if number < 0:
        raise ValueError("use a whole number of milliseconds, 0 or more")
    return number


def _listed(value: Any, kind: str = "strings") -> tuple[str, ...]:
    """The words of a comma-separated string, or of an iterable of strings, as they are written."""
    words = value.split(",") if isinstance(value, str) else value
    if not isinstance(words, Iterable) or not all(isinstance(word, str) for word in words):
        raise ValueError(f"use a comma-separated list of {kind}")
    return tuple(word.strip() for word in words if word.strip())


def to_words(value: Any) -> tuple[str, ...]:
    """Words in lower case."""
    return tuple(word.lower() for word in _listed(value))


def to_names(value: Any) -> tuple[str, ...]:
    """The names of modules."""
    names = _listed(value, "modules")
    if not all(part.isidentifier() for name in names for part in name.split(".")):
        raise ValueError("use the names of modules, for example app.models,blinker")
    return names


def to_media_types(value: Any) -> tuple[str, ...]:
    """Media types, lower case: "type/subtype", "type/*", or "+suffix"."""
    types = to_words(value)
    for word in types:
        kind, _, subtype = word.partition("/")
        if not (word[1:] if word.startswith("+") else kind.strip("*") and subtype):
            raise ValueError(
                f"{word!r} is no media type: use type/subtype, type/*, or +suffix, for example "
                "application/x-custom, image/*, or +custom"
            )
    return types


def some_of(*allowed: str) -> Callable[[Any], frozenset[str]]:
    """A parser of a list of words from those allowed."""

    def parse(value: Any) -> frozenset[str]:
        words = frozenset(to_words(value))
        if not words <= set(allowed):
            raise ValueError("use a comma-separated list of " + ", ".join(allowed))
        return words

    return parse


def to_header(value: Any) -> str:
    """A header name, lower case, or "" where the setting is off."""
    name = to_text(value).lower()
    if name == "off":
        return ""
    # `on` could be a header's name, but whoever writes it takes the setting for a switch.
    if name in ("on", "true", "1", "auto", "yes", "false", "0", "no"):
        raise ValueError("use the name of a header, for example x-forwarded-host, or off")
    if name and not (name.isascii() and name.replace("-", "").replace("_", "").isalnum()):
        raise ValueError("use a header name, for example x-forwarded-host, or off")
    return name


def to_header_names(value: Any) -> frozenset[bytes]:
    """Header names, lower case, as bytes."""
    return frozenset(to_header(word).encode() for word in to_words(value))


def to_events_path(value: Any) -> str:
    """A path, or "" for none; one of its segments may be `{source}`."""
    path = to_text(value)
    if path and not path.startswith("/"):
        raise ValueError("use a path that begins with /, for example /events")
    if any(word != "{source}" for word in path.split("/") if "{" in word or "}" in word):
        raise ValueError("use no braces but in a segment {source}, for example /events/{source}")
    return path


def to_targets(value: Any) -> tuple[str, ...]:
    """Paths, and URLs with a path, as a client writes them into its request."""
    targets = _listed(value, "paths")
    for target in targets:
        scheme, url, rest = target.partition("://")
        host, slash, _ = rest.partition("/") if url else ("-", target[:1], "")
        is_printable = target.isascii() and target.isprintable() and not set(target) & set(" #")
        if not (is_printable and host and slash == "/" and scheme in (target, "https", "http")):
            raise ValueError(
                f"{target!r} is no path: use what stands behind the host in a request, for "
                "example /health, /items/1?page=2 or https://example.com/health, percent-encoded"
            )
    return targets


def to_websocket_path(value: Any) -> str:
    """A path, or "query:NAME" or "header:name" for the part of the request that has it."""
    path = to_text(value)
    where, colon, name = path.partition(":")
    if colon and where == "header" and name:
        return f"header:{to_header(name)}"
    if path.startswith("/") or (colon and where == "query" and name):
        return path
    raise ValueError("use a path such as /ws, or query:NAME or header:NAME")


def to_store_url(value: Any) -> str:
    """The URL of a connection store, or "" for none."""
    url = to_text(value)
    scheme, colon, _ = url.partition(":")
    if url and (not colon or scheme.lower() not in STORE_SCHEMES):
        raise ValueError("use a URL of one of " + ", ".join(f"{s}:" for s in STORE_SCHEMES))
    return url


STORE_SCHEMES = (
    *("dynamodb", "s3", "redis", "rediss", "valkey", "valkeys"),
    *("postgresql", "postgres", "sqlite", "memory"),
)
"""What `lamella.websocket.stores` can open."""


def to_endpoint(value: Any) -> str:
    """A URL without a slash at its end, or "" for none."""
    url = to_text(value).rstrip("/")
    if url and not url.startswith(("https://", "http://")):
        raise ValueError("use a URL, for example https://ID.execute-api.REGION.amazonaws.com/STAGE")
    return url


def to_base_path(value: Any) -> str:
    """Normalise: "api", "/api" and "/api/" are the same; "" and "/" mean none."""
    path = to_text(value).strip("/")
    return f"/{path}" if path else ""


def to_status_ranges(value: Any) -> tuple[range, ...]:
    """Parse "500-599,429" into ranges of HTTP status codes."""
    ranges = []
    for word in to_words(value):
        low, dash, high = word.partition("-")
        if not (low.isdigit() and (high.isdigit() or not dash)):
            raise ValueError("use status codes and ranges, for example 500-599,429")
        ranges.append(range(int(low), int(high or low) + 1))
    if not all(r and r[0] >= 100 and r[-1] <= 599 for r in ranges):
        raise ValueError("use status codes from 100 to 599, the lower one first")
    return tuple(ranges)


def to_compression(value: Any) -> tuple[str, ...]:
    """The codings to offer; () for none."""
    words = to_words(value)
    if words == ("off",) or not words:
        return ()
    if not set(words) <= {"auto", "gzip", "br", "zstd"}:
        raise ValueError("use off, auto, or a comma-separated list of gzip, br, zstd")
    return words
