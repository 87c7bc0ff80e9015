"""AWS's modules inside the layer: pinned, renamed, and independent of an installed copy."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from layer import BuildError, vendor
from layer.pythons import Python
from tests.layer.conftest import ROOT

HOOKS = """
registered = [(print, ("hook ran",), {})]
def get_before_snapshot(): return registered
def get_after_restore(): return registered
"""


def run(python: Python, script: str, *path: Path) -> str:
    """Run `script` without site-packages, thus without awslambdaric; returns what it printed."""
    setup = f"import sys; sys.path[:0] = {[str(folder) for folder in path]!r}\n"
    command = [python.path, "-I", "-S", "-c", setup + script]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_the_context_works_where_awslambdaric_is_not_installed(opt: Path, python: Python) -> None:
    script = """
from lamella._awslambdaric import __version__
from lamella._awslambdaric.lambda_context import LambdaContext
context = LambdaContext("request-1", {"custom": {"a": 1}}, None, 0, "arn")
print(__version__, context.aws_request_id, context.client_context.custom)
print("awslambdaric" in sys.modules)
"""
    expected = "4.2.2 request-1 {'a': 1}\nFalse\n"
    assert run(python, script, opt / "python") == expected


def test_hooks_are_those_of_the_module_that_the_application_imports(
    opt: Path, python: Python, tmp_path: Path
) -> None:
    (tmp_path / "snapshot_restore_py.py").write_text(HOOKS)
    script = """
from lamella._awslambdaric import lambda_runtime_hooks_runner
lambda_runtime_hooks_runner.run_after_restore()
"""
    assert run(python, script, opt / "python", tmp_path) == "hook ran\n"


def test_vendored_modules_are_unchanged_and_import_none_of_their_package() -> None:
    wheel = vendor.wheel(ROOT / "layer" / "requirements.txt", ROOT / "build" / "cache")
    for name, source in vendor.sources(wheel).items():
        assert b"import awslambdaric" not in source, name
        assert b"from awslambdaric" not in source, name
        assert b"from ." not in source, name


def test_a_pin_without_hash_is_refused(tmp_path: Path) -> None:
    requirements = tmp_path / "requirements.txt"
    requirements.write_text("awslambdaric==4.2.2\n")
    with pytest.raises(BuildError, match="0 pins of awslambdaric with a hash"):
        vendor.pin(requirements)


def test_a_cached_wheel_with_other_bytes_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "awslambdaric-4.2.2-py3-none-any.whl").write_bytes(b"not the wheel")
    requirements = tmp_path / "requirements.txt"
    requirements.write_text(f"awslambdaric==0.0.0 \\\n    --hash=sha256:{'0' * 64}\n")
    with pytest.raises(BuildError, match="could not download"):
        vendor.wheel(requirements, tmp_path)
