"""What the layer says about itself: manifest.json and a CycloneDX bill of materials.

Both are functions of the content alone, without clock, host or random number.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from layer import vendor
from layer.pythons import Python

SBOM = "lamella/sbom.cdx.json"
"""Where the bill is in the layer."""

_SBOM_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "sbom.lamella")


class Inputs(NamedTuple):
    """What a build is made from, besides the files of this repository."""

    version: str
    wheel: Path
    ric_version: str
    pythons: tuple[Python, ...]


def manifest(content: Mapping[str, bytes], inputs: Inputs) -> bytes:
    """Return manifest.json: every file of `content` with its sha256.

    `bytecode` tells the minors that start fast, the patch release that compiled each, and the
    magic number that its .pyc files begin with; another minor works too, only slower.
    """
    return _json(
        {
            "name": "lamella",
            "version": inputs.version,
            "bytecode": {
                python.minor: {"python": _dotted(python.version), "magic": python.magic}
                for python in inputs.pythons
            },
            "inputs": {inputs.wheel.name: {"sha256": _sha256(inputs.wheel.read_bytes())}},
            "files": {name: {"sha256": _sha256(data)} for name, data in sorted(content.items())},
        }
    )


def sbom(content: Mapping[str, bytes], inputs: Inputs) -> bytes:
    """Return sbom.cdx.json: Lamella, and the package it carries parts of.

    CycloneDX 1.6 (https://cyclonedx.org/docs/1.6/json/). The serial number is derived from
    `content`, so that equal layers have equal bills.
    """
    whole = hashlib.sha256()
    for name, data in sorted(content.items()):
        whole.update(f"{name}\0{_sha256(data)}\n".encode())
    ric = _component(vendor.PACKAGE, inputs.ric_version, "Apache-2.0")
    ric["hashes"] = [{"alg": "SHA-256", "content": _sha256(inputs.wheel.read_bytes())}]
    ric["pedigree"] = {"notes": f"Only {', '.join(vendor.MODULES)}, unchanged."}
    lamella = _component("lamella", inputs.version, "MIT")
    return _json(
        {
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "serialNumber": f"urn:uuid:{uuid.uuid5(_SBOM_NAMESPACE, whole.hexdigest())}",
            "version": 1,
            "metadata": {"component": lamella},
            "components": [ric],
            "dependencies": [
                {"ref": lamella["bom-ref"], "dependsOn": [ric["bom-ref"]]},
                {"ref": ric["bom-ref"]},
            ],
        }
    )


def _component(name: str, version: str, license_id: str) -> dict[str, Any]:
    purl = f"pkg:pypi/{name}@{version}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": name,
        "version": version,
        "purl": purl,
        "licenses": [{"license": {"id": license_id}}],
    }


def _dotted(version: Iterable[int]) -> str:
    return ".".join(map(str, version))


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _json(value: object) -> bytes:
    return json.dumps(value, indent=1).encode() + b"\n"
