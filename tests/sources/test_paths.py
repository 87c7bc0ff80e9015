"""Percent-encoding, against urllib.parse where the two should agree."""

from __future__ import annotations

from urllib.parse import quote, unquote

import pytest

from lamella import percent
from lamella.sources import paths, query


@pytest.mark.parametrize("tail", ["", "%", "%4", "%zz", "%%41", "% 1", "%41%"])
@pytest.mark.parametrize(
    "raw", ["/", "/a%20b", "/%C3%A9", "/%c3%a9x", "/%FF", "/%E2%82", "/%2B%25+", "/%00"]
)
def test_decoding_is_what_urllib_does(raw: str, tail: str) -> None:
    raw += tail
    assert percent.decode(raw.encode()) == unquote(raw, errors="replace")


@pytest.mark.parametrize("text", ["/", "/a b", "/é/λ", "/100%", "/a?b#c", "/a;b=c,d@e:f!g$h&'()*+"])
def test_quoting_is_what_urllib_does(text: str) -> None:
    expected = quote(text, safe="/:@!$&'()*+,;=~").encode()
    assert paths.quote(text, paths.PATH) == expected
    assert paths.from_decoded(text) == (text, expected)
    assert percent.decode(expected) == text


@pytest.mark.parametrize(
    ("encoded", "path", "raw_path"),
    [
        ("", "/", b"/"),
        ("x", "/x", b"/x"),
        ("/a b", "/a b", b"/a%20b"),
        ("/a?b=1", "/a", b"/a"),
        ("/a%3Fb", "/a?b", b"/a%3Fb"),
        ("/a\r\nb", "/a\r\nb", b"/a%0D%0Ab"),
    ],
)
def test_encoded_paths(encoded: str, path: str, raw_path: bytes) -> None:
    assert paths.from_encoded(encoded) == (path, raw_path)


@pytest.mark.parametrize(
    ("path", "prefix", "under"),
    [
        ("/api/x", "/api", True),
        ("/api", "/api", True),
        ("/apifoo", "/api", False),
        ("/ap", "/api", False),
        ("/x", "", True),
    ],
)
def test_a_prefix_ends_at_a_segment_border(path: str, prefix: str, under: bool) -> None:
    assert paths.is_under(path, prefix) is under


def test_encoded_parameters_are_not_encoded_again_and_cannot_break_out() -> None:
    pairs = [("a b", "c%20d+e"), ("k=&#", "v=&#"), ("k", "")]
    assert query.from_encoded(pairs) == b"a%20b=c%20d+e&k%3D%26%23=v=%26%23&k="
