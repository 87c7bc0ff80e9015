"""Publishes the layer to AWS regions: `python -m layer.publish` (needs boto3 and rich)."""

from __future__ import annotations


class PublishError(Exception):
    """A layer cannot be published; the message says why and what to do."""
