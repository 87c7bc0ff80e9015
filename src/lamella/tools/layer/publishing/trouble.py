"""What AWS's errors mean: which pass by themselves, and what to do about the others."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from botocore import exceptions
from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

T = TypeVar("T")

AWS_ERRORS = (BotoCoreError, ClientError, ResponseParserError)
"""What a call to AWS raises; the last where something else than AWS answers."""

ATTEMPTS = 6
"""How often a call is made before its error counts."""

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 20.0
"""Seconds: each pause is a random share of twice the one before (full jitter)."""

_NO_PERMISSION = "docs/publishing.md lists the permissions that publishing needs"
_EXPIRED = "get new credentials and run the same command again"
_NOT_KNOWN = "are the credentials right, and is the region enabled for the account?"

# By AWS's code, or by the name of botocore's exception where AWS was not asked.
_ADVICE = {
    "AccessDenied": _NO_PERMISSION,
    "AccessDeniedException": _NO_PERMISSION,
    "CodeStorageExceededException": "delete versions that nobody uses, or ask AWS for more",
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "InvalidClientTokenId": _NOT_KNOWN,
    "NoCredentialsError": "set AWS_PROFILE, or name a --profile of your AWS configuration",
    "ProfileNotFound": "aws configure list-profiles tells those that there are",
    "UnrecognizedClientException": _NOT_KNOWN,
}


def code(error: BaseException) -> str:
    """Return AWS's code for `error`, such as "ResourceConflictException"; "" when it has none."""
    return str(error.response["Error"]["Code"]) if isinstance(error, ClientError) else ""


def passes(error: BaseException) -> bool:
    """Tell whether `error` is one that may be gone at the next attempt.

    Throttling, AWS's own errors and the network's: the last two may come although the call did
    its work, so look before a call that is not idempotent is repeated.
    """
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        return (
            status in {429, 500, 502, 503, 504}
            or "Throttling" in code(error)
            or code(error) == "TooManyUpdates"  # of a parameter, at the same time
        )
    return isinstance(
        error, (exceptions.ConnectionError, exceptions.HTTPClientError, ResponseParserError)
    )


def pause(failures: int) -> None:
    """Wait before the next attempt, after `failures` (1 or more) of them."""
    longest = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** (failures - 1))
    time.sleep(random.uniform(0, longest))


def patiently(call: Callable[[], T]) -> T:
    """Return what `call`, which may be repeated without harm, returns in the end."""
    for failures in range(1, ATTEMPTS):
        try:
            return call()
        except AWS_ERRORS as error:
            if not passes(error):
                raise
            pause(failures)
    return call()


def explain(error: BaseException) -> str:
    """Return a sentence for the person who publishes: what AWS said, and what to do."""
    said = " ".join(str(error).split())
    if passes(error):
        return f"{said}. This may pass: run the same command again later"
    advice = _ADVICE.get(code(error) or type(error).__name__)
    return f"{said}: {advice}" if advice else said
