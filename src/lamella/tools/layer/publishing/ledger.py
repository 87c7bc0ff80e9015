"""The ledger, a JSON file: which version of the layer each region has."""

from __future__ import annotations

import base64
import json
import os
import tempfile
import threading
from pathlib import Path
from typing import Any, NamedTuple

from lamella.tools.layer.publishing import PublishError
from lamella.tools.layer.publishing.numbers import Latest


class Entry(NamedTuple):
    """A published layer version; `lamella` is the release in it, `sha256` its zip's, in hex."""

    arn: str
    layer_version: int
    lamella: str
    sha256: str

    @property
    def latest(self) -> Latest:
        """The same as a region tells it."""
        digest = base64.b64encode(bytes.fromhex(self.sha256)).decode()
        return Latest(self.layer_version, self.arn, digest)


class Ledger:
    """The file at `path`; threads may record at the same time, processes may not.

    It maps layer names to regions to entries, and is sorted, so that git shows what changed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()

    def entries(self, layer: str) -> dict[str, Entry]:
        """Return the entries of `layer` by region; none when there is no file.

        Raises PublishError when the file is not as this class writes it.
        """
        try:
            return {region: Entry(**entry) for region, entry in self._read().get(layer, {}).items()}
        except (ValueError, TypeError, AttributeError) as error:
            raise PublishError(
                f"{self.path} cannot be read: {error}. Restore it from git, or delete it: "
                "publishing again writes it anew for the regions it is told"
            ) from None

    def record(self, layer: str, region: str, entry: Entry) -> None:
        """Write `entry` beside what the file has; a reader sees the old or the new file."""
        with self._lock:
            layers = self._read()
            layers.setdefault(layer, {})[region] = entry._asdict()
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle, name = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}-")
            try:
                with os.fdopen(handle, "w") as file:
                    file.write(json.dumps(layers, indent=2, sort_keys=True) + "\n")
                Path(name).chmod(0o644)  # mkstemp's is 0600, and this file is for everyone
                Path(name).replace(self.path)
            except BaseException:
                Path(name).unlink(missing_ok=True)
                raise

    def _read(self) -> dict[str, Any]:
        if not self.path.exists():
            return {}
        layers: dict[str, Any] = json.loads(self.path.read_text())
        return layers
