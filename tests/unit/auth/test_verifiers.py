"""Secrets and what is asked of a client because of them."""

import pytest

from tidegate.auth.md5 import md5_hash
from tidegate.auth.scram_keys import ScramKeys
from tidegate.auth.verifiers import (
    CleartextCache,
    ClientMethod,
    ExchangeKeys,
    Md5Hash,
    Plain,
    Secret,
    asked_method,
    md5_hash_of,
    parse_secret,
    verify_cleartext,
)

SCRAM, MD5, PASSWORD, TRUST = ClientMethod.SCRAM, ClientMethod.MD5, ClientMethod.PASSWORD, ClientMethod.TRUST
KEYS = ScramKeys.from_password("right", b"salt", 1)
HASH = Md5Hash(md5_hash("ann", "right"))


def test_secrets_are_told_apart_by_form() -> None:
    assert parse_secret(KEYS.text()) == KEYS
    assert parse_secret(HASH.text) == HASH
    for password in ("", "right", "md5", HASH.text.upper(), "scram-sha-256$x", "SCRAM-SHA-256"):
        assert parse_secret(password) == Plain(password)


def test_a_broken_verifier_is_not_taken_for_a_password() -> None:
    with pytest.raises(ValueError):
        parse_secret("SCRAM-SHA-256$4096:oops")


@pytest.mark.parametrize(
    ("configured", "secret", "asked"),
    [
        (SCRAM, KEYS, SCRAM),
        (SCRAM, HASH, MD5),
        (SCRAM, Plain("x"), SCRAM),
        (SCRAM, None, SCRAM),
        (MD5, KEYS, SCRAM),
        (MD5, HASH, MD5),
        (MD5, Plain("x"), MD5),
        (MD5, None, SCRAM),
        *((PASSWORD, secret, PASSWORD) for secret in (KEYS, HASH, Plain("x"), None)),
        *((TRUST, secret, TRUST) for secret in (KEYS, HASH, Plain("x"), None)),
    ],
)
def test_asked_method(configured: ClientMethod, secret: Secret, asked: ClientMethod) -> None:
    assert asked_method(configured, secret) is asked


def test_md5_hash_of() -> None:
    assert md5_hash_of("ann", HASH) == md5_hash_of("ann", Plain("right")) == HASH.text


def test_exchange_keys() -> None:
    ring = ExchangeKeys(b"cluster secret")
    assert ring.keys("ann", KEYS) is KEYS
    derived = ring.keys("ann", Plain("right"))
    assert derived.verify_password("right")
    assert ring.keys("ann", Plain("right")) is derived
    assert not ring.keys("ann", Plain("changed")).verify_password("right")


def test_known_and_unknown_users_have_like_salts() -> None:
    one_worker, another = ExchangeKeys(b"cluster secret"), ExchangeKeys(b"cluster secret")
    plain, nobody, hashed = (one_worker.keys("ann", secret) for secret in (Plain("x"), None, HASH))
    assert nobody.is_mock
    assert hashed.is_mock
    assert plain.salt == nobody.salt == another.keys("ann", None).salt
    assert plain.iterations == nobody.iterations


@pytest.mark.parametrize("secret", [KEYS, HASH, Plain("right")])
def test_verify_cleartext(secret: Secret) -> None:
    cache = CleartextCache()
    assert verify_cleartext("ann", "right", secret, cache)
    for password in ("wrong", "", "Right", "right ", "right\udcff"):
        assert not verify_cleartext("ann", password, secret, cache)
    assert verify_cleartext("ann", "right", secret, cache)


def test_nobody_has_no_password_and_an_empty_one_never_passes() -> None:
    cache = CleartextCache()
    assert not verify_cleartext("ann", "right", None, cache)
    assert not verify_cleartext("ann", "", Plain(""), cache)
    assert len(cache) == 0


def test_a_passed_check_is_remembered_for_this_user_password_and_keys_only() -> None:
    cache = CleartextCache(key=b"k")
    assert not cache.knows("ann", "right", KEYS)
    assert verify_cleartext("ann", "right", KEYS, cache)
    assert cache.knows("ann", "right", KEYS)
    assert not cache.knows("eve", "right", KEYS)
    assert not cache.knows("annr", "ight", KEYS)
    assert not cache.knows("ann", "wrong", KEYS)
    assert not cache.knows("ann", "right", ScramKeys.from_password("right", b"salt", 2))


def test_a_failed_check_is_not_remembered() -> None:
    cache = CleartextCache()
    assert not verify_cleartext("ann", "wrong", KEYS, cache)
    assert not cache.knows("ann", "wrong", KEYS)


def test_what_the_cache_knows_is_not_derived_again() -> None:
    cache, costly = CleartextCache(), ScramKeys(b"salt", 2**31 - 1, bytes(32), bytes(32))
    cache.remember("ann", "right", costly)
    assert verify_cleartext("ann", "right", costly, cache)  # PBKDF2 of so many rounds would outlast the test


def test_the_cache_drops_the_least_recently_used() -> None:
    cache = CleartextCache(capacity=2)
    cache.remember("ann", "1", KEYS)
    cache.remember("bob", "2", KEYS)
    assert cache.knows("ann", "1", KEYS)
    cache.remember("eve", "3", KEYS)
    assert len(cache) == 2
    assert cache.knows("ann", "1", KEYS)
    assert not cache.knows("bob", "2", KEYS)


def test_secrets_do_not_show_themselves() -> None:
    assert "right" not in repr(Plain("right"))
    assert HASH.text not in repr(HASH)
