"""The settings: one table, read from the environment or from keyword arguments.

Each row of `TABLE` is a setting: the keyword argument of `lamina.Adapter`, the environment
variable `ASGI_<NAME>`, its default, the parser that says what is allowed, and its meaning for
the README. A new setting is one row and one field of `Settings`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from lamina.errors import SettingError

PREFIX = "ASGI_"


class Settings(NamedTuple):
    """The parsed settings of one environment; field meanings are in `TABLE`."""

    app: str
    lifespan: str
    lifespan_timeout: float
    invoke_mode: str
    stream_sources: frozenset[str]
    base_path: str
    base_path_mode: str
    text_types: tuple[str, ...]
    exclude_headers: frozenset[bytes]
    events_path: str
    error_status: tuple[range, ...]
    deadline_margin_ms: int
    background_timeout: float | None
    compression: tuple[str, ...]
    forwarded_host: str
    authorization_source: str
    loop: str
    log_access: bool


if TYPE_CHECKING:
    from typing import TypedDict

    Words = str | Iterable[str]

    class SettingArguments(TypedDict, total=False):
        """The keyword arguments of `Adapter`: natural types, or strings as in the environment."""

        lifespan: str
        lifespan_timeout: float | str
        invoke_mode: str
        stream_sources: Words
        base_path: str
        base_path_mode: str
        text_types: Words
        exclude_headers: Words
        events_path: str
        error_status: Words
        deadline_margin_ms: int | str
        background_timeout: float | str | None
        compression: Words
        forwarded_host: str
        authorization_source: str
        loop: str
        log_access: bool | str


class Setting(NamedTuple):
    """One row: `parse` takes the raw value and raises ValueError, saying what is allowed."""

    name: str
    default: str
    parse: Callable[[Any], Any]
    meaning: str

    @property
    def variable(self) -> str:
        """The environment variable's name."""
        return PREFIX + self.name.upper()


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value.strip()
    raise ValueError("use a string")


def _choice(*allowed: str) -> Callable[[Any], str]:
    def parse(value: Any) -> str:
        if isinstance(value, str) and value.strip().lower() in allowed:
            return value.strip().lower()
        raise ValueError("use " + " or ".join(allowed))

    return parse


def _flag(value: Any) -> bool:
    words = {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}
    found = value if isinstance(value, bool) else words.get(str(value).strip().lower())
    if found is None:
        raise ValueError("use on or off")
    return found


def _seconds(value: Any) -> float:
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise ValueError("use a number of seconds above 0, for example 9 or 0.5")
    return seconds


def _optional_seconds(value: Any) -> float | None:
    return None if value in ("", None) else _seconds(value)


def _milliseconds(value: Any) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = -1
    if number < 0:
        raise ValueError("use a whole number of milliseconds, 0 or more")
    return number


def _words(value: Any) -> tuple[str, ...]:
    """Split a comma-separated string, or take an iterable of strings; lower case."""
    if isinstance(value, str):
        value = value.split(",")
    if not isinstance(value, Iterable):
        raise ValueError("use a comma-separated list")
    words = [word.strip().lower() if isinstance(word, str) else None for word in value]
    if None in words:
        raise ValueError("use a comma-separated list of strings")
    return tuple(word for word in words if word)


def _subset(*allowed: str) -> Callable[[Any], frozenset[str]]:
    def parse(value: Any) -> frozenset[str]:
        words = frozenset(_words(value))
        if not words <= set(allowed):
            raise ValueError("use a comma-separated list of " + ", ".join(allowed))
        return words

    return parse


def _header(value: Any) -> str:
    """A header name, lower case, or "" where the setting is off."""
    name = _text(value).lower()
    if name == "off":
        return ""
    if name and not all(c.isalnum() or c in "-_" for c in name):
        raise ValueError("use a header name, for example x-forwarded-host, or off")
    return name


def _header_names(value: Any) -> frozenset[bytes]:
    return frozenset(_header(word).encode() for word in _words(value))


def _path(value: Any) -> str:
    path = _text(value)
    if path and not path.startswith("/"):
        raise ValueError("use a path that begins with /, for example /events")
    return path


def _base_path(value: Any) -> str:
    """Normalise: "api", "/api" and "/api/" are the same; "" and "/" mean none."""
    path = _text(value).strip("/")
    return f"/{path}" if path else ""


def _status_ranges(value: Any) -> tuple[range, ...]:
    """Parse "500-599,429" into ranges of HTTP status codes."""
    ranges = []
    for word in _words(value):
        low, dash, high = word.partition("-")
        if not (low.isdigit() and (high.isdigit() or not dash)):
            raise ValueError("use status codes and ranges, for example 500-599,429")
        ranges.append(range(int(low), int(high or low) + 1))
    if not all(r and r[0] >= 100 and r[-1] <= 599 for r in ranges):
        raise ValueError("use status codes from 100 to 599, the lower one first")
    return tuple(ranges)


def _compression(value: Any) -> tuple[str, ...]:
    words = _words(value)
    if words == ("off",) or not words:
        return ()
    if not set(words) <= {"auto", "gzip", "br", "zstd"}:
        raise ValueError("use off, auto, or a comma-separated list of gzip, br, zstd")
    return words


TABLE = (
    Setting(
        "app",
        "",
        _text,
        "The application: `package.module:attribute`, or `package.module:factory()`",
    ),
    Setting(
        "lifespan",
        "auto",
        _choice("auto", "on", "off"),
        "`auto`: run lifespan where the application supports it; `on`: refuse to start where it "
        "does not; `off`",
    ),
    Setting(
        "lifespan_timeout",
        "9",
        _seconds,
        "Seconds that lifespan startup may take (Lambda's own limit for init is 10)",
    ),
    Setting(
        "invoke_mode",
        "buffered",
        _choice("buffered", "response_stream"),
        "`response_stream` streams to Function URLs and REST APIs that are set up for it",
    ),
    Setting(
        "stream_sources",
        "url,rest",
        _subset("url", "rest"),
        "Which event sources are streamed under `response_stream`",
    ),
    Setting("base_path", "", _base_path, "A prefix of every path, such as `/api`"),
    Setting(
        "base_path_mode",
        "mount",
        _choice("mount", "strip"),
        "`mount`: the path keeps stage and base path, `root_path` names them; `strip`: the path "
        "loses them",
    ),
    Setting(
        "text_types",
        "",
        _words,
        "Media types that count as text although the default rule calls them binary",
    ),
    Setting("exclude_headers", "", _header_names, "Response headers that never leave"),
    Setting(
        "events_path", "/events", _path, "Where events that are not HTTP are posted; empty: refused"
    ),
    Setting(
        "error_status",
        "",
        _status_ranges,
        "Status codes that fail the invocation in Lambda's own metrics, such as `500-599`",
    ),
    Setting(
        "deadline_margin_ms",
        "500",
        _milliseconds,
        "How long before the function's timeout the application is cancelled and a 504 sent",
    ),
    Setting(
        "background_timeout",
        "",
        _optional_seconds,
        "Seconds that work left behind may run after the answer; empty: until the deadline",
    ),
    Setting(
        "compression",
        "off",
        _compression,
        "`auto`, or the codings to offer in order of preference: `gzip`, `br`, `zstd`",
    ),
    Setting(
        "forwarded_host",
        "off",
        _header,
        "The header to trust for host and scheme, such as `x-forwarded-host` or `forwarded`",
    ),
    Setting(
        "authorization_source",
        "off",
        _header,
        "The header whose value becomes `authorization`",
    ),
    Setting(
        "loop",
        "auto",
        _choice("auto", "asyncio", "uvloop"),
        "`auto`: uvloop where the function carries it, else asyncio",
    ),
    Setting("log_access", "on", _flag, "One INFO record for each request on `lamina.access`"),
)

OTHER_VARIABLES = {
    "ASGI_EXEC_WRAPPER": "A wrapper script to run between the bootstrap and Python, such as "
    "`/opt/otel-instrument`"
}
"""Variables that are not read here: the bootstrap script reads them before Python runs."""


def _parse(setting: Setting, label: str, value: Any) -> Any:
    try:
        return setting.parse(value)
    except ValueError as error:
        raise SettingError(f"{label}={value!r} is not allowed: {error}.") from None


def from_environ(environ: Mapping[str, str]) -> Settings:
    """Read every setting from environment variables.

    An unset or empty variable means the default. Raises `SettingError`.
    """
    return Settings(
        *(
            _parse(row, row.variable, environ.get(row.variable, row.default) or row.default)
            if row.name != "events_path"
            else _parse(row, row.variable, environ.get(row.variable, row.default))
            for row in TABLE
        )
    )


def from_arguments(arguments: Mapping[str, Any]) -> Settings:
    """Read settings from keyword arguments; what is not given has its default.

    Raises `SettingError` for a wrong value, TypeError for an unknown name.
    """
    known = {row.name for row in TABLE}
    for name in arguments:
        if name not in known:
            raise TypeError(f"{name!r} is not a setting.{_nearest(name, known)}")
    return Settings(*(_parse(row, row.name, arguments.get(row.name, row.default)) for row in TABLE))


def misspelt(environ: Mapping[str, str]) -> list[str]:
    """Warnings for `ASGI_` variables that are no settings but look like one.

    Other tools use the prefix too (asgiref reads `ASGI_THREADS`), so a name that resembles
    none of ours passes in silence.
    """
    known = {row.variable for row in TABLE} | OTHER_VARIABLES.keys()
    strangers = [name for name in environ if name.startswith(PREFIX) and name not in known]
    hints = ((name, _nearest(name, known)) for name in strangers)
    return [f"{name} is not a setting of Lamina.{hint}" for name, hint in hints if hint]


def _nearest(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches  # only on a mistake: not worth a cold start

    found = get_close_matches(name, list(known), n=1, cutoff=0.75)
    return f" Did you mean {found[0]}?" if found else ""
