"""A function in a container, started as Lambda would."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import httpx
from docker.models.containers import Container
from docker.types import Ulimit

from tests.docker.engine import LABEL, OWNER
from tests.e2e.judges import Outcome

INVOKE = "/2015-03-31/functions/function/invocations"
USER = "993:990"
"""Lambda's own, as container images show it; its home, /home/sbx_user1051, does not exist."""


@dataclass
class Config:
    """How a function is set up; `memory` in MB, `mounts` of files and folders by their path
    in the container, all of them read-only. A `wrapper` of "" leaves the managed runtime as
    it is; `own_entry` starts the image's own entry point in place of the managed runtime."""

    image: str
    mounts: dict[str, Path]
    environ: dict[str, str] = field(default_factory=dict)
    handler: str = "lamella.handler"
    wrapper: str = "/opt/bootstrap"
    memory: int = 512
    own_entry: bool = False


class Function:
    """See the module's docstring. `stop` removes the container; nothing else does."""

    def __init__(self, client: docker.DockerClient, config: Config) -> None:
        self.container: Container = client.containers.create(
            config.image,
            command=[config.handler],
            entrypoint=_own_entry(client, config.image) if config.own_entry else None,
            environment=_environment(config),
            labels={LABEL: OWNER},
            user=USER,
            read_only=True,
            tmpfs={"/tmp": "size=512m,mode=1777"},
            volumes={
                str(path): {"bind": place, "mode": "ro"} for place, path in config.mounts.items()
            },
            mem_limit=f"{config.memory}m",
            memswap_limit=f"{config.memory}m",
            pids_limit=1024,
            ulimits=[Ulimit(name="nofile", soft=1024, hard=1024)],
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            ports={"8080/tcp": ("127.0.0.1", 0)},
        )

    def start(self) -> None:
        """Start it, and wait until the emulator takes invocations."""
        self.container.start()
        self.container.reload()
        (binding,) = self.container.ports["8080/tcp"] or []
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{binding['HostPort']}", timeout=60)
        for _ in range(600):
            try:
                self._client.get("/")
            except httpx.TransportError:
                time.sleep(0.05)
            else:
                return
        raise AssertionError("the emulator in the container does not listen")

    def invoke(self, event: Any) -> Outcome:
        """Send an event; the payload is the result, or the error with its errorType."""
        return Outcome(self._client.post(INVOKE, content=json.dumps(event)).content)

    @property
    def log(self) -> str:
        """Everything logged so far, the emulator's own lines included."""
        return self.container.logs().decode(errors="replace")

    def has_logged(self, text: str) -> bool:
        """Whether the log has `text`; an engine may need a moment to show it."""
        for _ in range(600):
            if text in self.log:
                return True
            time.sleep(0.05)
        return False

    def stop(self) -> None:
        """Remove the container, whatever it does."""
        self.container.remove(force=True)
        if hasattr(self, "_client"):
            self._client.close()


def _environment(config: Config) -> dict[str, str]:
    variables = {
        "TZ": ":UTC",
        "AWS_LAMBDA_FUNCTION_TIMEOUT": "20",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(config.memory),
        "PYTHONPATH": "/var/runtime",
    }
    if config.wrapper:
        variables["AWS_LAMBDA_EXEC_WRAPPER"] = config.wrapper
    return {**variables, **config.environ}


def _own_entry(client: docker.DockerClient, image: str) -> list[str]:
    """The image's entry point under the emulator, as AWS's guide starts an image on a laptop
    (https://docs.aws.amazon.com/lambda/latest/dg/python-image.html, "alternative base image")."""
    entry: list[str] = client.images.get(image).attrs["Config"]["Entrypoint"]
    return ["/usr/local/bin/aws-lambda-rie", *entry]
