"""The base path: one rule for every event source."""

from __future__ import annotations

from lamina.sources.paths import PATH, is_under, percent_decode, quote
from lamina.types import Request


def mount(request: Request, base_path: str, mode: str) -> Request:
    """The request with what is in front of the application's own path declared, or cut off.

    In front are the stage (or mapping) that the codec found, `request.root_path`, and after it
    `base_path` ("/api" or "", as the settings spell it) where the path goes on with that at a
    segment border.

    - mode "mount": the path keeps all of it, `root_path` is all of it (as uvicorn does);
    - mode "strip": it is cut off `path` and `raw_path`, and `root_path` is "".
    """
    prefix = _prefix(request, base_path)
    if not prefix:
        return request
    if mode == "mount":
        return request._replace(root_path=prefix)
    path = request.path[len(prefix) :] or "/"
    raw_path = _without(prefix, request.raw_path) or quote(path, PATH)
    return request._replace(path=path, raw_path=raw_path, root_path="")


def _prefix(request: Request, base: str) -> str:
    whole = request.root_path + base
    return whole if is_under(request.path, whole) else request.root_path


def _without(prefix: str, raw_path: bytes) -> bytes:
    """`raw_path` without the bytes that spell `prefix`, escaped or not; b"" where none do."""
    end = 0
    for _ in prefix.encode():
        end += 3 if raw_path[end : end + 1] == b"%" else 1
    if percent_decode(raw_path[:end]) != prefix:
        return b""
    rest = raw_path[end:]
    # An escaped slash at the border is a real one, now that the path begins there.
    return b"/" + rest[3:] if rest[:3].upper() == b"%2F" else rest
