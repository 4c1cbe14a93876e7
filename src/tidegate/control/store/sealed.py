"""Encryption at rest: what is secret in the store is written as AES-256-GCM under one data key.

Owns the data key: a key file, or a passphrase (scrypt). Refuses to know what it seals, and to guess: the wrong key is
told when the program starts, by a check value beside the state, and not at the first read.

A sealed text is `v1.` and base64 of a nonce (96 random bits, NIST SP 800-38D section 8.2.2) and the ciphertext with its
tag. The context (which record it belongs to) is associated data: a text moved to another record does not open.
"""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from tidegate.control.folder import write_private
from tidegate.errors import ConfigError

KEY_FILE = "secrets.key"
"""In the data folder, unless another path is given."""

STATE_FILE = "state.db"
CHECK_FILE = "secrets.check"
"""In the data folder: where the key comes from, scrypt's parameters, and a value that only the right key opens."""

KEY_BYTES = 32
NONCE_BYTES = 12
SALT_BYTES = 16
SCRYPT = {"n": 2**15, "r": 8, "p": 3}
"""OWASP, "Password Storage Cheat Sheet": 32 MB of memory, about a third of a second."""

MAX_FILE_SIZE = 64 * 1024
"""Bytes; a larger key or check file is a wrong path."""

_VERSION = "v1."
_CHECK_CONTEXT = b"tidegate check"
_CHECK_PLAIN = b"tidegate"


class UnsealError(Exception):
    """A sealed text that this key does not open: changed, moved, or of another key. Says nothing of its content."""


class Sealer:
    """Seals and opens with one data key. May be used from several threads."""

    def __init__(self, key: bytes) -> None:
        """`key`: 32 random bytes."""
        if len(key) != KEY_BYTES:
            raise ValueError(f"a data key has {KEY_BYTES} bytes, not {len(key)}")
        self._cipher = AESGCM(key)

    def __repr__(self) -> str:
        return "Sealer(...)"

    def seal(self, plain: bytes, context: bytes) -> str:
        """The text to keep; `context` says what it belongs to and must be the same at `open`."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return _VERSION + base64.b64encode(nonce + self._cipher.encrypt(nonce, plain, context)).decode("ascii")

    def open(self, sealed: str, context: bytes) -> bytes:
        """What was sealed. UnsealError if the text, the context or the key is not the one."""
        try:
            if not sealed.startswith(_VERSION):
                raise UnsealError("not a sealed text")
            raw = base64.b64decode(sealed[len(_VERSION) :], validate=True)
            return self._cipher.decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], context)
        except (binascii.Error, ValueError, InvalidTag):
            raise UnsealError("a sealed text does not open with this key") from None


def open_sealer(folder: Path, *, key_file: Path | None = None, passphrase: str | None = None) -> Sealer:
    """The sealer of a data folder; the first start makes its key.

    key_file: where the key is, `secrets.key` in the folder by default; passphrase: used instead of a key file.
    ConfigError if the key is missing, unsafe to use, or not the one that the folder was made with.
    """
    if passphrase is not None and key_file is not None:
        raise ConfigError("give a passphrase or a key file for secrets, not both")
    if passphrase == "":
        raise ConfigError("the passphrase for secrets is empty")
    check = _read_check(folder / CHECK_FILE)
    if check is None and (folder / STATE_FILE).exists():
        raise ConfigError(
            f"data folder {folder}: it has a state, but no {CHECK_FILE}: restore that and {KEY_FILE} from a copy of the"
            " folder; a new key would not open the secrets"
        )
    source = "key-file" if passphrase is None else "passphrase"
    if check is not None and check["source"] != source:
        raise ConfigError(
            f"data folder {folder}: its secrets are sealed with a {check['source']}, and a {source} was given"
        )
    if passphrase is not None:
        return _by_passphrase(folder, passphrase, check)
    return _by_key_file(folder, key_file or folder / KEY_FILE, check)


def _by_key_file(folder: Path, path: Path, check: dict[str, Any] | None) -> Sealer:
    if check is None and not path.exists():
        _write_new(path, base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode("ascii") + "\n")
    sealer = Sealer(_read_key(path))
    if check is None:
        _write_check(folder, sealer, {"source": "key-file"})
    elif not _opens(sealer, check):
        raise ConfigError(f"key file {path} is not the one that the secrets in {folder} were sealed with")
    return sealer


def _by_passphrase(folder: Path, passphrase: str, check: dict[str, Any] | None) -> Sealer:
    if check is None:
        salt = secrets.token_bytes(SALT_BYTES)
        sealer = Sealer(_derive(passphrase, salt, SCRYPT))
        scrypt = {**SCRYPT, "salt": base64.b64encode(salt).decode("ascii")}
        _write_check(folder, sealer, {"source": "passphrase", "scrypt": scrypt})
        return sealer
    try:
        kept = check["scrypt"]
        sealer = Sealer(_derive(passphrase, base64.b64decode(kept["salt"], validate=True), kept))
    except (KeyError, TypeError, ValueError):
        raise ConfigError(f"{folder / CHECK_FILE} is damaged: it has no usable scrypt parameters") from None
    if not _opens(sealer, check):
        raise ConfigError(f"the passphrase is not the one that the secrets in {folder} were sealed with")
    return sealer


def _derive(passphrase: str, salt: bytes, parameters: dict[str, Any]) -> bytes:
    n, r, p = int(parameters["n"]), int(parameters["r"]), int(parameters["p"])
    if n * r * p > 2**24:
        raise ValueError("more work than any version of this program has asked for")
    return Scrypt(salt=salt, length=KEY_BYTES, n=n, r=r, p=p).derive(passphrase.encode("utf-8", "surrogateescape"))


def _opens(sealer: Sealer, check: dict[str, Any]) -> bool:
    try:
        return sealer.open(check["check"], _CHECK_CONTEXT) == _CHECK_PLAIN
    except UnsealError:
        return False


def _read_key(path: Path) -> bytes:
    try:
        status = path.stat()
        text = path.read_bytes() if status.st_size <= MAX_FILE_SIZE else b""
    except OSError as error:
        raise ConfigError(f"key file {path}: cannot be read: {error.strerror}") from None
    if status.st_mode & 0o077:
        raise ConfigError(f"key file {path} can be read by others than its owner: chmod 600 {path}")
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise ConfigError(f"key file {path} does not hold a key: {KEY_BYTES} bytes in base64")
    return key


def _read_check(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        check = json.loads(path.read_bytes()[:MAX_FILE_SIZE])
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from None
    if not isinstance(check, dict) or not isinstance(check.get("check"), str):
        raise ConfigError(f"{path} is damaged: it holds no check value")
    if check.get("source") not in ("key-file", "passphrase"):
        raise ConfigError(f"{path} is damaged: it does not say where the key comes from")
    return check


def _write_check(folder: Path, sealer: Sealer, content: dict[str, Any]) -> None:
    sealed = sealer.seal(_CHECK_PLAIN, _CHECK_CONTEXT)
    _write_new(folder / CHECK_FILE, json.dumps({**content, "check": sealed}) + "\n")


def _write_new(path: Path, text: str) -> None:
    """A file that is there already is never replaced."""
    try:
        write_private(path, text, replace=False)
    except OSError as error:
        raise ConfigError(f"{path} cannot be made: {error.strerror}") from None
