"""`lamella check`: what an init on Lambda would meet, said before the deploy."""

from __future__ import annotations

from lamella.tools.check.command import check

__all__ = ["check"]
