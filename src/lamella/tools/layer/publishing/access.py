"""Who may use a layer version, besides the account that owns it."""

from __future__ import annotations

import re
from typing import NamedTuple

_KINDS = {
    "account": (re.compile(r"\d{12}"), "an account is 12 digits, as in account:123456789012"),
    "organization": (
        re.compile(r"o-[a-z0-9]{10,32}"),
        "an organization is o- and 10 to 32 lower case letters and digits",
    ),
}


class Access(NamedTuple):
    """One permission: `organization` narrows the `principal` "*" and is empty otherwise.

    https://docs.aws.amazon.com/lambda/latest/api/API_AddLayerVersionPermission.html
    """

    statement_id: str
    principal: str
    organization: str
    words: str


def parse(text: str) -> Access:
    """Return what `text` says: "public", "account:123456789012" or "organization:o-...".

    The statement's name follows from what it allows, so that asking for the same access again
    meets the same statement. Raises ValueError with what is allowed.
    """
    if text == "public":
        return Access("public", "*", "", "everyone with an AWS account")
    kind, _, name = text.partition(":")
    if kind not in _KINDS:
        raise ValueError(f"{text!r} is not public, account:123456789012 or organization:o-...")
    pattern, advice = _KINDS[kind]
    if not pattern.fullmatch(name):
        raise ValueError(f"{text!r}: {advice}")
    if kind == "account":
        return Access(f"account-{name}", name, "", f"account {name}")
    return Access(f"organization-{name}", "*", name, f"organization {name}")
