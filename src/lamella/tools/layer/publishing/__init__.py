"""`lamella layer publish`: the layer into AWS regions. Only here boto3 is needed."""

from __future__ import annotations


class PublishError(Exception):
    """A layer cannot be published; the message says why and what to do."""
