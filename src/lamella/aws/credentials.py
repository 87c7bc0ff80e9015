"""The execution role's credentials, from where Lambda puts them.

Ordinarily that is three environment variables. With SnapStart they would be in the snapshot and
expire, so there Lambda names a local server instead.
Sources: https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html,
https://docs.aws.amazon.com/lambda/latest/dg/snapstart-activate.html (credentials),
https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Mapping

from lamella.aws.http import HttpClient, Unreachable
from lamella.aws.sigv4 import Credentials
from lamella.errors import WebSocketError

EARLY = 60.0
"""Seconds before they expire that credentials are asked for again."""


class CredentialSource:
    """Gives the credentials that are valid now. One object serves one event loop."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http
        self._asking = asyncio.Lock()
        self._kept: Credentials | None = None
        self._good_until = 0.0  # seconds since the epoch
        self._failed_at = 0.0  # by time.monotonic()
        self._failure: WebSocketError | None = None

    async def get(self) -> Credentials:
        """Read the environment anew, since Lambda may change it. Raises `WebSocketError`."""
        found = from_environ(os.environ)
        if found is not None:
            return found
        came_at = time.monotonic()
        async with self._asking:
            if time.time() < self._good_until - EARLY and self._kept is not None:
                return self._kept
            if self._failed_at < came_at:  # else the task before this one has found out for all
                try:
                    self._kept, self._good_until = await self._ask()
                    self._failure = None
                except WebSocketError as error:
                    self._failed_at, self._failure = time.monotonic(), error
            if self._failure is not None and time.time() >= self._good_until:
                raise self._failure
            assert self._kept is not None
            return self._kept

    async def _ask(self) -> tuple[Credentials, float]:
        url = os.environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI")
        if not url:
            raise WebSocketError(
                "There are no AWS credentials: neither AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY "
                "nor AWS_CONTAINER_CREDENTIALS_FULL_URI is set. Lambda sets them; anywhere else, "
                "set the first two, and AWS_SESSION_TOKEN for a role."
            )
        token = os.environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN")
        headers = {"Accept": "application/json", **({"Authorization": token} if token else {})}
        try:
            reply = await self._http.request("GET", url, headers)
            if reply.status != 200:
                raise ValueError(f"{reply.status} {reply.body[:300].decode('utf-8', 'replace')}")
            return from_json(reply.body)
        except (Unreachable, ValueError) as error:
            raise WebSocketError(
                f"AWS_CONTAINER_CREDENTIALS_FULL_URI={url!r} gave no AWS credentials: {error}"
            ) from error


def from_environ(environ: Mapping[str, str]) -> Credentials | None:
    """The three variables; None where there is no key."""
    access_key = environ.get("AWS_ACCESS_KEY_ID")
    secret_key = environ.get("AWS_SECRET_ACCESS_KEY")
    if not access_key or not secret_key:
        return None
    return Credentials(access_key, secret_key, environ.get("AWS_SESSION_TOKEN") or None)


def from_json(body: bytes) -> tuple[Credentials, float]:
    """Credentials and the second since the epoch that they are good until. Raises `ValueError`."""
    from datetime import datetime  # only here, and most functions are never here

    document = json.loads(body)
    if not isinstance(document, dict):
        document = {}
    access_key, secret_key = document.get("AccessKeyId"), document.get("SecretAccessKey")
    if not isinstance(access_key, str) or not isinstance(secret_key, str):
        raise ValueError("its answer has no AccessKeyId and SecretAccessKey")
    credentials = Credentials(access_key, secret_key, document.get("Token") or None)
    expiration = document.get("Expiration")
    if expiration is None:
        return credentials, float("inf")
    end = datetime.fromisoformat(str(expiration).replace("Z", "+00:00"))
    return credentials, end.timestamp()
