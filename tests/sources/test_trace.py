"""X-Ray's trace header as W3C trace context."""

from __future__ import annotations

import pytest

from lamella.sources.preparation import add_traceparent, traceparent

ROOT, PARENT = "1-5759e988-bd862e3fe1be46a994272793", "53995c3f42cd8ad8"


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (f"Root={ROOT};Parent={PARENT};Sampled=1", "01"),
        (f"Root={ROOT};Parent={PARENT};Sampled=0", "00"),
        (f"Root={ROOT}; Parent={PARENT}; Sampled=1;Lineage=a:0", "01"),
        (f"Root={ROOT};Sampled=1", None),
        ("Root=2-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8", None),
        ("Root=1-short;Parent=53995c3f42cd8ad8", None),
        ("", None),
        ("nonsense", None),
    ],
)
def test_traceparent(header: str, expected: str | None) -> None:
    found = traceparent(header)
    flags = f"00-5759e988bd862e3fe1be46a994272793-{PARENT}-{expected}"
    assert found == (flags if expected else None)


def test_a_header_of_the_client_s_own_stays() -> None:
    headers = [(b"traceparent", b"mine")]
    add_traceparent(headers, f"Root={ROOT};Parent={PARENT};Sampled=1")
    assert headers == [(b"traceparent", b"mine")]
