"""The data folder: one process at a time, and files that are whole or not there.

Owns its lock, whose it must be, and the writing of small files. Refuses what is in them (`profile`, `store`).
"""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
from pathlib import Path
from types import TracebackType

from tidegate.errors import ConfigError

LOCK = "lock"
_DRAFTS = ".*." + "[0-9a-f]" * 16 + ".draft"


class DataFolder:
    """A folder that this process has for itself, from here to `close` or its end, however that comes.

    `with DataFolder(path) as folder: ...`
    """

    def __init__(self, path: Path) -> None:
        """Make the folder (mode 0700) if need be, lock it, and remove what a kill has left half written.

        ConfigError if another process has it, or if others than this process's user could read it or write there.
        """
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            _check_private(path)
            self._lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigError(f"--data {path}: {error.strerror}") from None
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.pread(self._lock, 20, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(self._lock)
            raise ConfigError(
                f"--data {path}: is in use by process {holder}; a data folder has one at a time"
            ) from None
        try:
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, f"{os.getpid()}\n".encode(), 0)
            _remove_drafts(path)
        except OSError as error:
            os.close(self._lock)
            raise ConfigError(f"--data {path}: {error.strerror}") from None

    def close(self) -> None:
        """Let others have it. The lock's file stays: removing it would let two processes lock two files."""
        os.close(self._lock)

    def __enter__(self) -> DataFolder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


def _check_private(path: Path) -> None:
    status = path.stat()
    mode, user = stat.S_IMODE(status.st_mode), os.geteuid()
    if status.st_uid != user:
        raise ConfigError(
            f"--data {path}: belongs to user {status.st_uid}, and this process to user {user}: "
            "run it as the owner, or name another folder"
        )
    if mode & 0o077:
        raise ConfigError(
            f"--data {path}: others than its owner have access to it (mode {mode:04o}), and it holds keys: "
            f"chmod 700 {path}"
        )


def write_private(path: Path, text: str, *, replace: bool = True) -> None:
    """Write a file of mode 0600 that holds the old text or the new one, whenever the machine stops.

    Without `replace` a file that is there already stays: FileExistsError. OSError if it can't be written.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}.draft")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if replace:
            draft.replace(path)
        else:
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _remove_drafts(folder: Path) -> None:
    """Of `write_private`, by processes that were killed: they may hold keys."""
    for draft in (*folder.glob(_DRAFTS), *folder.glob(f"*/{_DRAFTS}")):
        draft.unlink(missing_ok=True)
