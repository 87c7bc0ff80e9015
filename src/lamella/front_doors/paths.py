"""Prefixes of paths."""

from __future__ import annotations


def below(prefix: str, path: str) -> str | None:
    """`path` without `prefix`, always with a leading slash; None if it lies elsewhere.

    A prefix matches whole segments only; "" matches everything.
    """
    if path == prefix:
        return "/"
    return path[len(prefix) :] if path.startswith(f"{prefix}/") else None
