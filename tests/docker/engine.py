"""The Docker engine: its images, kept between runs, and its containers, which never are."""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
from docker.errors import APIError, ImageNotFound

from layer.pythons import Python
from tests.docker import standin
from tests.docker.context import Entry, data, fingerprint, tree, write

LABEL = "lamella.tests"
OWNER = f"{socket.gethostname()}:{os.getpid()}"
"""The value of LABEL: who removes the container."""

LOCKS = Path(__file__).parents[2] / ".cache" / "docker"


def base_image(client: docker.DockerClient, python: Python) -> str:
    """The Lambda-like image for `python`: that of LAMBDA_IMAGE, else the stand-in, built."""
    if chosen := os.environ.get("LAMBDA_IMAGE"):
        return _pulled(client, chosen.format(version=python.minor))
    return build(client, f"lamella-standin:{python.minor}", standin.entries(python))


@contextmanager
def function_image(client: docker.DockerClient, base: str, opt: Path, task: Path) -> Iterator[str]:
    """An image of the function's own: the layer's content and the function's on `base`."""
    text = (standin.IMAGE / "Dockerfile.function").read_text().replace("${BASE}", base)
    entries = [data("Dockerfile", text.encode()), *tree(opt, "opt"), *tree(task, "task")]
    tag = build(client, f"lamella-function:{OWNER.replace(':', '-')}", entries)
    try:
        yield tag
    finally:
        client.images.remove(tag, force=True)


def build(client: docker.DockerClient, name: str, entries: list[Entry]) -> str:
    """The tag of the image that `entries` (with a Dockerfile) make, built unless it is there.

    The tag carries a hash of what it is made from, so a changed stand-in is another image.
    """
    tag = f"{name}-{fingerprint(entries)[:12]}"
    with _one_at_a_time(name), tempfile.TemporaryFile() as context:
        try:
            client.images.get(tag)
        except ImageNotFound:
            write(entries, context)
            client.images.build(
                fileobj=context, custom_context=True, tag=tag, labels={LABEL: ""}, rm=True
            )
    return tag


def remove_abandoned(client: docker.DockerClient) -> None:
    """Remove the containers of runs that ended without doing so: killed ones."""
    # They are asked for one by one, and another worker may remove one of them meanwhile.
    options: dict[str, Any] = {"all": True, "filters": {"label": LABEL}, "ignore_removed": True}
    for container in client.containers.list(**options):
        host, _, pid = container.labels[LABEL].partition(":")
        if host == socket.gethostname() and not Path("/proc", pid).exists():
            try:
                container.remove(force=True)
            except APIError as error:
                if error.status_code not in (404, 409):  # another worker was faster
                    raise


def _pulled(client: docker.DockerClient, name: str) -> str:
    try:
        client.images.get(name)
    except ImageNotFound:
        try:
            client.images.pull(name)
        except APIError as error:
            raise RuntimeError(
                f"LAMBDA_IMAGE names {name}, which cannot be pulled: {error.explanation}. "
                "Without that variable the tests build a stand-in."
            ) from None
    return name


@contextmanager
def _one_at_a_time(name: str) -> Iterator[None]:
    """Two workers that need the same image: the second finds what the first has built."""
    LOCKS.mkdir(parents=True, exist_ok=True)
    with (LOCKS / f"{name.replace(':', '-')}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
