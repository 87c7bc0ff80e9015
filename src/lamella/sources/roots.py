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
    """(path with everything in front, root path) of a payload 1.0 event, encoded as it came.

    On the default domain the context's path shows the stage. Elsewhere the root is what is in
    front of the resource with its parameters filled in: "/items/{id}" with {"id": "5"} is
    "/items/5", "/{proxy+}" with {"proxy": "a/b"} is "/a/b".
    """
    path = rooted(text(event, "path"))
    stage = text(context, "stage")
    if stage and text(context, "path").rstrip("/") == f"/{stage}{path}".rstrip("/"):
        return f"/{stage}{path}", f"/{stage}"
    resource, parameters = text(event, "resource"), mapping(event, "pathParameters")
    segments = resource.split("/")
    for index, segment in enumerate(segments):
        if segment.startswith("{"):
            segments[index] = text(parameters, segment.strip("{+}")).strip("/")
            if not segments[index]:
                resource = ""
    if not resource.startswith("/"):
        return path, stage_in(path, context)
    tail, trimmed = "/".join(segments).rstrip("/"), path.rstrip("/")
    # A client may send several slashes where one belongs.
    return path, trimmed.removesuffix(tail).rstrip("/") if trimmed.endswith(tail) else ""
