"""Pythons in container images, for the minors that this machine lacks."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable
from pathlib import Path

from layer import BuildError, pythons
from layer.pythons import Python

IMAGE = "public.ecr.aws/lambda/python:{version}"
"""AWS's own base images (https://docs.aws.amazon.com/lambda/latest/dg/python-image.html): the
interpreter that functions run on. Any other image with a python3.X on its PATH does as well."""


def find(minors: Iterable[str], image: str = IMAGE) -> list[Python]:
    """Return the Python of `image` for each of `minors`, which takes the place of {version}.

    Each is started once, and pulled before that where it is not there. Raises BuildError, with
    what the docker command said, for the first that does not start or is another Python.
    """
    return [_probe(minor, image.format(version=minor)) for minor in minors]


def command(python: Python, folder: Path) -> list[str]:
    """Return the words that start `python` with `folder` as its working directory.

    Those of a container mount the folder, as the user who builds, and have no network.
    """
    if not python.image:
        return [python.path]
    mount = ["--volume", f"{folder}:/layer", "--workdir", "/layer"]
    user = ["--user", f"{os.getuid()}:{os.getgid()}", "--env", "PYTHONHASHSEED"]
    return [*_run(), *mount, *user, "--entrypoint", python.path, python.image]


def _run() -> list[str]:
    return ["docker", "run", "--rm", "--interactive", "--network=none", "--log-driver=none"]


def _probe(minor: str, image: str) -> Python:
    name = f"python{minor}"
    advice = f"Compiling for Python {minor} in a container needs Docker and the image {image}"
    try:
        found = pythons.ask([*_run(), "--entrypoint", name, image], timeout=900)
    except FileNotFoundError:
        raise BuildError(f"{advice}: there is no docker command on PATH") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip()
        raise BuildError(
            f"{advice} (--bytecode-image names another). docker said:\n{said}"
        ) from None
    except (subprocess.TimeoutExpired, ValueError) as error:
        raise BuildError(f"{advice}; starting {name} there: {error}") from None
    if found is None or found.minor != minor:
        raise BuildError(f"{advice}; its {name} is {found or 'no final release of CPython'}")
    return found._replace(path=name, image=image)
