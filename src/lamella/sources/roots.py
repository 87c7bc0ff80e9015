"""The part of a path that API Gateway put in front of the application's own: a stage or a mapping.

Which forms there are: REST API on its default domain leaves the stage out of `path` and in
`requestContext.path`; on a custom domain both hold the base path of the mapping instead; HTTP
API keeps a named stage in the path. All as measured on AWS by several projects.
"""

from __future__ import annotations

from lamella.sources.fields import mapping, text
from lamella.sources.paths import is_under, rooted
from lamella.types import Event


def stage_in(path: str, context: Event) -> str:
    """The root path "/stage" where `path` begins with the named stage, else ""."""
    stage = text(context, "stage")
    named = stage and stage != "$default" and is_under(path, "/" + stage)
    return "/" + stage if named else ""


def full_path(event: Event, context: Event) -> tuple[str, str]:
    """(path with everything in front, root path) of a payload 1.0 event, encoded as it came."""
    path = rooted(text(event, "path"))
    stage = text(context, "stage")
    if stage and text(context, "path").rstrip("/") == f"/{stage}{path}".rstrip("/"):
        return f"/{stage}{path}", f"/{stage}"
    tail = _resource_path(text(event, "resource"), mapping(event, "pathParameters"))
    if tail is None:
        return path, stage_in(path, context)
    return path, _before(path.rstrip("/"), tail.rstrip("/"))


def _before(path: str, tail: str) -> str:
    """What is in front of `tail`, without a slash at its end: a client may send several."""
    return path[: len(path) - len(tail)].rstrip("/") if path.endswith(tail) else ""


def _resource_path(resource: str, parameters: Event) -> str | None:
    """The resource template with its parameters filled in, None where that cannot be done.

    "/items/{id}" with {"id": "5"} is "/items/5", "/{proxy+}" with {"proxy": "a/b"} is "/a/b".
    """
    if not resource.startswith("/"):
        return None
    filled = []
    for segment in resource.split("/"):
        if segment.startswith("{"):
            value = text(parameters, segment.strip("{+}")).strip("/")
            if not value:
                return None
            filled.append(value)
        else:
            filled.append(segment)
    return "/".join(filled)
