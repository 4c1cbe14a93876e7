"""Text of one encoding for a client of another."""

from __future__ import annotations

import codecs

import pytest

from tidegate.session.encodings import CODECS, recoded


@pytest.mark.parametrize(
    ("text", "source", "wanted", "expected"),
    [
        (b"plain", b"UTF8", b"LATIN1", b"plain"),
        ("grün".encode(), b"UTF8", b"LATIN1", "grün".encode("latin-1")),
        ("grün".encode("latin-1"), b"LATIN1", b"UTF8", "grün".encode()),
        ("潮".encode(), b"UTF8", b"EUC_JP", "潮".encode("euc_jp")),
        ("潮".encode(), b"UTF8", b"LATIN1", b"?"),
        ("grün".encode(), b"UTF8", b"SQL_ASCII", "grün".encode()),
        ("grün".encode(), b"SQL_ASCII", b"LATIN1", "grün".encode()),
        (b"\xff\xfe", b"UTF8", b"LATIN1", b"\xff\xfe"),
        ("grün".encode(), b"UTF8", b"", "grün".encode()),
    ],
)
def test_recoded(text: bytes, source: bytes, wanted: bytes, expected: bytes) -> None:
    assert recoded(text, source, wanted) == expected


def test_python_has_every_codec() -> None:
    assert all(codecs.lookup(name) for name in CODECS.values())
