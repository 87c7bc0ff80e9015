"""Lamella beside Mangum under awslambdaric, measured on this machine: `python -m benchmarks`.

Nothing here is a test: numbers never decide the exit code. docs/benchmarks.md says what each
figure means.
"""

from __future__ import annotations


class BenchmarkError(Exception):
    """A measurement is impossible or meaningless; the message says why and what to do."""
