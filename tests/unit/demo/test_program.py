"""Which of the proxy's words are understood."""

from __future__ import annotations

import pytest

from tidegate.demo.program import listening_address


@pytest.mark.parametrize(
    ("said", "address"),
    [
        ("tidegate: listening on 127.0.0.1:6432\n", ("127.0.0.1", 6432)),
        ("12:00:01 INFO listening on [::1]:6432 (2 workers)\n", ("::1", 6432)),
        ("listening on /tmp/socket/.s.PGSQL.5432, 127.0.0.1:40001\n", ("127.0.0.1", 40001)),
        ("warning: x:1\nlistening on localhost:7, [::1]:8\nlistening on 127.0.0.1:9\n", ("localhost", 7)),
        ("listening on 127.0.0.1:64", None),
        ("listening on /tmp/socket/.s.PGSQL.5432\n", None),
        ("cannot listen: 127.0.0.1:6432 is in use\n", None),
        ("", None),
    ],
)
def test_the_listening_line(said: str, address: tuple[str, int] | None) -> None:
    assert listening_address(said) == address
