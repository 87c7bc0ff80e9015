"""Which authorities a server's certificate is checked against.

To read Debian's bundle of 144 authorities takes 20 ms of CPU [measured, OpenSSL 3.0], and a Lambda
function with little memory has a tenth of a CPU. AWS's own are five of them and take 2 ms, so they
are tried first. A server with another authority's certificate is checked again, against all.
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
    path = ssl.get_default_verify_paths().cafile
    if not path:  # None where there is no such file
        return all_authorities()
    with open(path, encoding="utf-8", errors="replace") as file:
        blocks = (block.partition(END)[0] for block in file.read().split(BEGIN)[1:])
    certificates = map(a2b_base64, blocks)
    found = [each for each in certificates if any(owner in each for owner in OWNERS)]
    return ssl.create_default_context(cadata=b"".join(found)) if found else all_authorities()


@cache
def all_authorities() -> ssl.SSLContext:
    """Trusts what the machine trusts; the variable SSL_CERT_FILE may name another bundle."""
    return ssl.create_default_context()
