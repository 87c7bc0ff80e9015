"""The settings: one table, read from the environment or from keyword arguments.

Each row of `TABLE` is a setting: the keyword argument of `lamella.Adapter`, the environment
variable `ASGI_<NAME>`, its default, and the parser that says what is allowed. The README says what
each one means. A new setting is one row, and one field of `Settings` and of `SettingArguments`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from lamella import values
from lamella.errors import SettingError

PREFIX = "ASGI_"

STARTUP_TIME = 9.0
"""Seconds for lifespan startup where no setting tells them: Lambda gives 10 to all of an init, and
to a restore."""


class Settings(NamedTuple):
    """The parsed settings of one environment; the README says what each one means."""

    app: str
    interface: str
    lifespan: str
    lifespan_timeout: float | None
    invoke_mode: str
    stream_sources: frozenset[str]
    stream_keepalive: float
    base_path: str
    base_path_mode: str
    text_types: tuple[str, ...]
    exclude_headers: frozenset[bytes]
    events_path: str
    events_from_http: str
    warmers: bool
    commands: bool
    error_status: tuple[range, ...]
    deadline_margin_ms: int
    background_timeout: float
    compression: tuple[str, ...]
    forwarded_host: str
    authorization_source: str
    loop: str
    log_access: bool
    processes: int | None
    snapstart_lifespan: str
    slow_init: float
    lazy_imports: bool
    lazy_imports_except: tuple[str, ...]
    flush: bool
    traceparent: bool
    datadog_extension: str
    warmup: tuple[str, ...]
    warmup_failures: str
    websocket_store: str
    websocket_path: str
    websocket_endpoint: str
    websocket_bytes: str

    def speaking(self, interface: str) -> Settings:
        """The same for an application whose name tells its interface, unless a setting does."""
        return self._replace(interface=interface) if self.interface == "auto" else self


if TYPE_CHECKING:
    from typing import TypedDict

    Words = str | Iterable[str]

    class SettingArguments(TypedDict, total=False):
        """The keyword arguments of `Adapter`: natural types, or strings as in the environment."""

        interface: str
        lifespan: str
        lifespan_timeout: float | str
        invoke_mode: str
        stream_sources: Words
        stream_keepalive: float | str
        base_path: str
        base_path_mode: str
        text_types: Words
        exclude_headers: Words
        events_path: str
        events_from_http: str
        warmers: bool | str
        commands: bool | str
        error_status: Words
        deadline_margin_ms: int | str
        background_timeout: float | str
        compression: Words
        forwarded_host: str
        authorization_source: str
        loop: str
        log_access: bool | str
        processes: int | str
        snapstart_lifespan: str
        slow_init: float | str
        lazy_imports: bool | str
        lazy_imports_except: Words
        flush: bool | str
        traceparent: bool | str
        datadog_extension: bool | str
        warmup: Words
        warmup_failures: str
        websocket_store: str
        websocket_path: str
        websocket_endpoint: str
        websocket_bytes: str


class Setting(NamedTuple):
    """One row: `parse` takes the raw value and raises ValueError, saying what is allowed."""

    name: str
    default: str
    parse: Callable[[Any], Any]
    takes_empty: bool = False  # elsewhere an empty variable means an unset one

    @property
    def variable(self) -> str:
        """The environment variable's name."""
        return PREFIX + self.name.upper()


TABLE = (
    Setting("app", "", values.to_text),
    Setting("interface", "auto", values.one_of("auto", "asgi3", "asgi2", "wsgi")),
    Setting("lifespan", "auto", values.one_of("auto", "on", "off")),
    Setting("lifespan_timeout", "auto", values.seconds_or(auto=None)),
    Setting("invoke_mode", "buffered", values.one_of("buffered", "response_stream")),
    Setting("stream_sources", "url,rest", values.some_of("url", "rest")),
    Setting("stream_keepalive", "off", values.seconds_or(off=0.0)),
    Setting("base_path", "", values.to_base_path),
    Setting("base_path_mode", "mount", values.one_of("mount", "strip")),
    Setting("text_types", "", values.to_media_types),
    Setting("exclude_headers", "", values.to_header_names),
    Setting("events_path", "/events", values.to_events_path, takes_empty=True),
    Setting("events_from_http", "allow", values.one_of("allow", "refuse")),
    Setting("warmers", "auto", values.to_flag),
    Setting("commands", "off", values.to_flag),
    Setting("error_status", "", values.to_status_ranges),
    Setting("deadline_margin_ms", "500", values.to_milliseconds),
    Setting("background_timeout", "5", values.to_seconds),
    Setting("compression", "off", values.to_compression),
    Setting("forwarded_host", "off", values.to_header),
    Setting("authorization_source", "off", values.to_header),
    Setting("loop", "auto", values.one_of("auto", "asyncio", "uvloop")),
    Setting("log_access", "on", values.to_flag),
    Setting("processes", "auto", values.to_processes),
    Setting("snapstart_lifespan", "after", values.one_of("after", "before")),
    Setting("slow_init", "auto", values.seconds_or(auto=9.0, off=0.0)),
    Setting("lazy_imports", "off", values.to_flag),
    Setting("lazy_imports_except", "", values.to_names),
    Setting("flush", "auto", values.to_flag),
    Setting("traceparent", "off", values.to_flag),
    Setting("datadog_extension", "off", values.to_datadog_extension),
    Setting("warmup", "", values.to_targets),
    Setting("warmup_failures", "warn", values.one_of("warn", "error")),
    Setting("websocket_store", "", values.to_store_url),
    Setting("websocket_path", "/", values.to_websocket_path),
    Setting("websocket_endpoint", "", values.to_endpoint),
    Setting("websocket_bytes", "refuse", values.one_of("refuse", "base64")),
)

OTHER_VARIABLES = {"ASGI_EXEC_WRAPPER"}
"""Variables that are not read here: the bootstrap script reads them before Python runs."""


def _parse(setting: Setting, label: str, value: Any) -> Any:
    try:
        return setting.parse(value)
    except ValueError as error:
        shown = _without_secret(value)
        raise SettingError(f"{label}={shown!r} is not allowed: {error}.") from None


def _without_secret(value: Any) -> Any:
    """A URL may hold a password, which is not for the log: what is before its last `@` goes."""
    if not isinstance(value, str) or "@" not in value:
        return value
    return "***@" + value.rpartition("@")[2]


def from_environ(environ: Mapping[str, str]) -> Settings:
    """Read every setting from environment variables.

    An unset variable means the default, and mostly an empty one, too. Raises `SettingError`.
    """
    return Settings(**{row.name: _parse(row, row.variable, _given(row, environ)) for row in TABLE})


def _given(row: Setting, environ: Mapping[str, str]) -> str:
    value = environ.get(row.variable, row.default)
    return value if value or row.takes_empty else row.default


def from_arguments(arguments: Mapping[str, Any]) -> Settings:
    """Read settings from keyword arguments; what is not given has its default.

    Raises `SettingError` for a wrong value, TypeError for an unknown name.
    """
    known = {row.name for row in TABLE}
    for name in arguments:
        if name not in known:
            raise TypeError(f"{name!r} is not a setting.{_nearest(name, known)}")
    return Settings(
        **{row.name: _parse(row, row.name, arguments.get(row.name, row.default)) for row in TABLE}
    )


def misspelt(environ: Mapping[str, str]) -> list[str]:
    """Warnings for `ASGI_` variables that are no settings but look like one.

    Other tools use the prefix too (asgiref reads `ASGI_THREADS`), so a name that is not like
    one of ours passes in silence.
    """
    known = {row.variable for row in TABLE} | OTHER_VARIABLES
    strangers = [name for name in environ if name.startswith(PREFIX) and name not in known]
    hints = ((name, _nearest(name, known)) for name in strangers)
    return [f"{name} is not a setting of Lamella.{hint}" for name, hint in hints if hint]


def _nearest(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches  # only on a mistake: not worth a cold start

    found = get_close_matches(name, list(known), n=1, cutoff=0.75)
    return f" Did you mean {found[0]}?" if found else ""
