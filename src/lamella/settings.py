"""The settings: one table, read from the environment or from keyword arguments.

Each row of `TABLE` is a setting: the keyword argument of `lamella.Adapter`, the environment
variable `ASGI_<NAME>`, its default, the parser that says what is allowed, and its meaning for
the README. A new setting is one row, and one field of `Settings` and of `SettingArguments`.
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
    """The parsed settings of one environment; field meanings are in `TABLE`."""

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
    meaning: str
    takes_empty: bool = False  # elsewhere an empty variable means an unset one

    @property
    def variable(self) -> str:
        """The environment variable's name."""
        return PREFIX + self.name.upper()


TABLE = (
    Setting(
        "app",
        "",
        values.to_text,
        "The application: `package.module:attribute`, or `package.module:factory()`",
    ),
    Setting(
        "interface",
        "auto",
        values.one_of("auto", "asgi3", "asgi2", "wsgi"),
        "What the application speaks; `wsgi` (Flask, Django) runs through a2wsgi, which the "
        "function brings",
    ),
    Setting(
        "lifespan",
        "auto",
        values.one_of("auto", "on", "off"),
        "`auto`: run lifespan if the application supports it; `on`: refuse to start if it does "
        "not; `off`: leave lifespan out",
    ),
    Setting(
        "lifespan_timeout",
        "auto",
        values.to_optional_seconds,
        "Seconds that lifespan startup may take; `auto`: 120, and with `ASGI_SLOW_INIT=off` what "
        "is left of Lambda's 10 seconds for an init on demand; 9 on the handler and library ways",
    ),
    Setting(
        "invoke_mode",
        "buffered",
        values.one_of("buffered", "response_stream"),
        "`response_stream`: stream to Function URLs and REST APIs, which must be set up for it",
    ),
    Setting(
        "stream_sources",
        "url,rest",
        values.some_of("url", "rest"),
        "The event sources whose responses are streamed under `response_stream`",
    ),
    Setting(
        "stream_keepalive",
        "off",
        values.to_interval,
        "Seconds of silence, such as `15`, after which a streamed `text/event-stream` answer gets "
        "a comment line, so that no front door drops it",
    ),
    Setting("base_path", "", values.to_base_path, "The prefix of every path, such as `/api`"),
    Setting(
        "base_path_mode",
        "mount",
        values.one_of("mount", "strip"),
        "`mount`: the path keeps stage and base path, and `root_path` names them; `strip`: the "
        "path loses them, and `root_path` is empty",
    ),
    Setting(
        "text_types",
        "",
        values.to_media_types,
        "More media types that are text; by default a body is text if it is UTF-8 and its type is "
        "not a binary one",
    ),
    Setting("exclude_headers", "", values.to_header_names, "Response headers that are never sent"),
    Setting(
        "events_path",
        "/events",
        values.to_events_path,
        "The path to which events that are not HTTP are posted, such as `/events/{source}`; "
        "empty: such events are refused",
        takes_empty=True,
    ),
    Setting(
        "events_from_http",
        "allow",
        values.one_of("allow", "refuse"),
        "`refuse`: an HTTP request for the path of events is answered with a 404",
    ),
    Setting(
        "warmers",
        "auto",
        values.to_flag,
        "`auto`: events that only keep the function warm are answered without the application; "
        "`off`: they are events like any other",
    ),
    Setting(
        "commands",
        "off",
        values.to_flag,
        "`on`: callers of Invoke may run commands in the function, with `lamella invoke FUNCTION "
        "-- python manage.py migrate`",
    ),
    Setting(
        "error_status",
        "",
        values.to_status_ranges,
        "Status codes that fail the invocation in Lambda's own metrics, such as `500-599`; the "
        "client then gets the front door's 502",
    ),
    Setting(
        "deadline_margin_ms",
        "500",
        values.to_milliseconds,
        "How long before the function's timeout the application is cancelled and a 504 sent",
    ),
    Setting(
        "background_timeout",
        "5",
        values.to_seconds,
        "Seconds that tasks may run on after the application has returned and left them behind; "
        "background tasks that it awaits itself (Starlette's) have until the deadline",
    ),
    Setting(
        "compression",
        "off",
        values.to_compression,
        "`auto`, or the codings to offer, in order of preference: `gzip`, `br`, `zstd`",
    ),
    Setting(
        "forwarded_host",
        "off",
        values.to_header,
        "The header to trust for host and scheme, such as `x-forwarded-host` or `forwarded`; of "
        "several values the last one counts, which is the nearest proxy's",
    ),
    Setting(
        "authorization_source",
        "off",
        values.to_header,
        "The header whose value becomes `authorization`",
    ),
    Setting(
        "loop",
        "auto",
        values.one_of("auto", "asyncio", "uvloop"),
        "`auto`: uvloop if the function carries it, otherwise asyncio",
    ),
    Setting(
        "log_access",
        "on",
        values.to_flag,
        "One INFO record for each request on the logger `lamella.access`; to see it, set "
        "`AWS_LAMBDA_LOG_LEVEL=INFO`",
    ),
    Setting(
        "processes",
        "auto",
        values.to_processes,
        "Managed instances: how many processes share the concurrency; `auto`: one for each vCPU",
    ),
    Setting(
        "snapstart_lifespan",
        "after",
        values.one_of("after", "before"),
        "SnapStart: `after`: run lifespan startup after the restore; `before`: before the snapshot",
    ),
    Setting(
        "slow_init",
        "auto",
        values.to_slow_init,
        "`auto`: an application that is not ready after 9 s takes the first event all the same and "
        "serves it when it is, so that Lambda does not begin the init again; a number: after so "
        "many seconds; `off`: never",
    ),
    Setting(
        "lazy_imports",
        "off",
        values.to_flag,
        "`on`: import the application with lazy imports, on Python 3.15 and later",
    ),
    Setting(
        "lazy_imports_except",
        "",
        values.to_names,
        "Modules and packages that are imported at once under `ASGI_LAZY_IMPORTS=on`, and all that "
        "they import, such as `app.models,blinker`",
    ),
    Setting(
        "flush",
        "auto",
        values.to_flag,
        "`auto`: flush OpenTelemetry, Sentry and logging's queues before the freeze; `off`: leave "
        "them alone",
    ),
    Setting(
        "traceparent",
        "off",
        values.to_flag,
        "`on`: give the application a W3C `traceparent` header, made of the X-Ray trace",
    ),
    Setting(
        "datadog_extension",
        "off",
        values.to_datadog_extension,
        "`on`: tell Datadog's extension of each invocation, and its span becomes the parent of "
        "the application's spans; or the extension's `host:port`",
    ),
    Setting(
        "warmup",
        "",
        values.to_targets,
        "Paths, or URLs, that the application answers to a GET in the init phase, such as "
        "`/health,/items/1`: the first request of a client then costs no more than others",
    ),
    Setting(
        "warmup_failures",
        "warn",
        values.one_of("warn", "error"),
        "`error`: a warm-up that is not answered with a status below 400 fails the init",
    ),
    Setting(
        "websocket_store",
        "",
        values.to_store_url,
        "Where WebSocket handshakes are kept: a URL such as `dynamodb://table`",
    ),
    Setting(
        "websocket_path",
        "/",
        values.to_websocket_path,
        "The path of WebSockets: `/ws`, or `query:NAME` for the query parameter that holds the "
        "path, or `header:NAME` for the header that holds it",
    ),
    Setting(
        "websocket_endpoint",
        "",
        values.to_endpoint,
        "The URL in front of `/@connections`, if it is not that of the API and stage that the "
        "client connected to",
    ),
    Setting(
        "websocket_bytes",
        "refuse",
        values.one_of("refuse", "base64"),
        "Bytes that the application sends, since API Gateway carries only text: `refuse` them, or "
        "send them as `base64` text",
    ),
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
    known = {row.variable for row in TABLE} | OTHER_VARIABLES.keys()
    strangers = [name for name in environ if name.startswith(PREFIX) and name not in known]
    hints = ((name, _nearest(name, known)) for name in strangers)
    return [f"{name} is not a setting of Lamella.{hint}" for name, hint in hints if hint]


def _nearest(name: str, known: Iterable[str]) -> str:
    from difflib import get_close_matches  # only on a mistake: not worth a cold start

    found = get_close_matches(name, list(known), n=1, cutoff=0.75)
    return f" Did you mean {found[0]}?" if found else ""
