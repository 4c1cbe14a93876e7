"""The key of made-up salts: the same for the same settings, another for others, random only without any secret."""

from __future__ import annotations

from tidegate.auth.mock_key import mock_key

RANDOM = bytes(range(32))


def test_the_target_s_password_alone_decides() -> None:
    key = mock_key("secret", ["a", "b"], RANDOM)
    assert key == mock_key("secret", [], bytes(32)) and len(key) == 32
    assert key != mock_key("another", ["a", "b"], RANDOM)


def test_without_it_the_users_do_in_any_order() -> None:
    key = mock_key("", ["a", "b", ""], RANDOM)
    assert key == mock_key("", ["b", "a"], bytes(32))
    assert len({key, mock_key("", ["a"], RANDOM), mock_key("", ["ab"], RANDOM), mock_key("a", [], RANDOM)}) == 4


def test_without_any_secret_it_is_random() -> None:
    assert mock_key("", [], RANDOM) == mock_key("", ["", ""], RANDOM) == RANDOM
