"""The supervisor's credentials: passwords of secrets that settings name, keys that sign tokens, verdicts on tokens.

Owns when they are read: at the start, at a reload, before they are old, and when a database has refused them. Refuses
to read them itself (`auth.providers`), and to choose among several passwords (`database_logins`, in each worker).

A secret that can't be read fails its own users only: what it said last stays in use, and who has nothing is refused at
the login. Workers get passwords as part of their settings, so there is one way by which anything reaches them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from typing import Protocol, TypeVar

from tidegate.auth.rds_token import SigningKeys
from tidegate.config.model import ANY_USER, Config, TargetConfig, UserConfig
from tidegate.errors import ConfigError
from tidegate.proxy.database_logins import IAM
from tidegate.proxy.logs import LOG
from tidegate.proxy.password_files import PasswordFiles

REFRESH = 300.0
"""Seconds between two reads of what has given no cause: a rotation that nobody has refused yet shows by then."""

KEYS_REFRESH = 60.0
"""Seconds between two looks at the keys that sign tokens; botocore renews them 10 to 15 minutes before their end."""

LOAD_LIMIT = 15.0
"""Seconds that a start or a reload waits for secrets; later ones are used when they come."""


Part = TypeVar("Part", UserConfig, TargetConfig)
Value = TypeVar("Value")


class CredentialError(Exception):
    """What could not be read, and why; nothing secret is in it."""


class Source(Protocol):
    """Where secrets and keys come from."""

    async def secret(self, arn: str) -> tuple[str, tuple[str, ...]]:
        """(user name, passwords that may be valid, the likeliest first). CredentialError if there are none."""

    async def keys(self, target: str) -> SigningKeys:
        """What signs tokens for the target of that name now. CredentialError if there is nothing."""


class Verifier(Protocol):
    """Who can tell a good IAM token."""

    async def verify(self, proxy: str, user: str, token: str, source: str) -> str:
        """ "" if it lets its bearer in at this proxy as this user; else why not."""


class NoVerifier:
    """Where nothing is configured to verify tokens."""

    async def verify(self, proxy: str, user: str, token: str, source: str) -> str:
        """Part of Verifier."""
        return f"proxy {proxy} verifies no IAM tokens"


class Credentials:
    """What is known, and when it was read. `source` and `verifier`: None for those that the settings mean."""

    def __init__(self, source: Source | None = None, verifier: Verifier | None = None) -> None:
        self._given = source is not None or verifier is not None
        self._source: Source | None = source
        self._verifier: Verifier = verifier or NoVerifier()
        self._secrets: dict[str, tuple[str, tuple[str, ...]]] = {}
        """By ARN, or by path with "" for the user: a file does not say whose password it has."""
        self._files = PasswordFiles()
        self._keys: dict[str, SigningKeys] = {}
        self._wanted: set[str] = set()
        self._signing: set[str] = set()
        self._looks: dict[str, asyncio.Task[bool]] = {}
        """By name: the read that has yet to begin."""
        self._turns: dict[str, asyncio.Lock] = {}
        """By name: held by the read that is under way."""
        self._refresher: asyncio.Task[None] | None = None
        self._came_late = asyncio.Event()
        self.version = 0
        """Grows with each change: who has given workers an older one has news for them."""

    # Reading

    async def take(self, config: Config) -> None:
        """Settings are about to be used: read the secrets that they name and are not known, and all keys.

        ConfigError if nothing can read them.
        """
        self._wanted = sources_of(config)
        self._signing = signing_targets(config)
        if not self._given:
            await asyncio.to_thread(self._choose, config)
        _forget_all_but(self._wanted, self._secrets)
        self._files.forget_all_but(self._wanted)
        _forget_all_but(self._signing, self._keys)
        self._turns = {name: turn for name, turn in self._turns.items() if name in self._wanted or turn.locked()}
        unknown = [name for name in self._wanted if name not in self._secrets or _is_file(name)]
        if unknown:
            looks = [asyncio.ensure_future(self.look(name)) for name in unknown]
            _, late = await asyncio.wait(looks, timeout=LOAD_LIMIT)
            for look in late:
                look.add_done_callback(self._late)

    def _late(self, look: asyncio.Future[bool]) -> None:
        """What nobody waits for any more is here, and no later look will find it new."""
        if not look.cancelled() and look.result():
            self._came_late.set()

    def _choose(self, config: Config) -> None:
        """Make what the settings mean. botocore is imported only where something of AWS is named."""
        if all(_is_file(name) for name in self._wanted) and not any(proxy.iam_server_id for proxy in config.proxies):
            self._source, self._verifier = None, NoVerifier()
            return
        try:
            from tidegate.proxy.aws import aws_of
        except ImportError as error:
            raise ConfigError(
                f'settings name AWS secrets or IAM, and {error.name} is missing: pip install "tidegate[aws]"'
            ) from None
        self._source, self._verifier = aws_of(config)

    async def look(self, name: str) -> bool:
        """Read a secret (or IAM: all keys) now; whether it has changed. One read answers all who asked before it began.

        Who asks while one is under way waits for the next: this one may have met what was there before.
        """
        if name not in self._wanted or (self._source is None and not _is_file(name)):
            return False
        look = self._looks.get(name)
        if look is None:
            turn = self._turns.setdefault(name, asyncio.Lock())
            look = self._looks[name] = asyncio.ensure_future(self._in_turn(turn, name))
        return await asyncio.shield(look)

    async def _in_turn(self, turn: asyncio.Lock, name: str) -> bool:
        async with turn:
            del self._looks[name]
            if _is_file(name):
                return await self._read(name, self._of_file(name), self._secrets, name)
            if self._source is None:  # since it was asked for
                return False
            if name == IAM:
                return await self._look_at_keys(self._source)
            return await self._read(name, self._source.secret(name), self._secrets, name)

    async def _of_file(self, path: str) -> tuple[str, tuple[str, ...]]:
        now = asyncio.get_running_loop().time()
        try:
            return "", await asyncio.to_thread(self._files.read, path, now)
        except ValueError as error:
            raise CredentialError(f"password file {path}: {error}") from None

    async def _look_at_keys(self, source: Source) -> bool:
        """Of targets that come while others are asked for, too."""
        asked: set[str] = set()
        changed = False
        while unasked := self._signing - asked:
            target = min(unasked)
            asked.add(target)
            changed |= await self._read(target, source.keys(target), self._keys, f"keys for target {target}")
        return changed

    async def _read(self, key: str, reading: Awaitable[Value], known: dict[str, Value], what: str) -> bool:
        try:
            value = await reading
        except CredentialError as error:
            LOG.warning("credentials stay as they are: %s", error)
            return False
        except Exception as error:  # of a library; its text may hold what it was given
            LOG.error("credentials stay as they are: %s: internal error: %s", what, type(error).__name__)
            return False
        changed = value != known.get(key)
        known[key] = value
        self.version += changed
        return changed

    def keep_fresh(self, changed: Callable[[], Awaitable[None]]) -> None:
        """Read everything again from time to time; `changed` is called when something is new."""
        self._refresher = asyncio.create_task(self._refresh(changed))

    async def _refresh(self, changed: Callable[[], Awaitable[None]]) -> None:
        clock = asyncio.get_running_loop().time
        read_at = clock()
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._came_late.wait(), KEYS_REFRESH)
            news = self._came_late.is_set()
            self._came_late.clear()
            due = {IAM} & self._wanted
            if clock() - read_at >= REFRESH:
                read_at = clock()
                due = set(self._wanted)
            if any([await self.look(name) for name in due]) or news:
                try:
                    await changed()
                except ConfigError as error:
                    LOG.error("new credentials: %s", error)

    def close(self) -> None:
        """Read nothing more."""
        if self._refresher is not None:
            self._refresher.cancel()

    async def verify(self, proxy: str, user: str, token: str, source: str) -> str:
        """As Verifier's; whatever fails is a refusal."""
        try:
            return await self._verifier.verify(proxy, user, token, source)
        except Exception as error:
            LOG.error("an IAM token could not be judged", exc_info=error)
            return f"internal error: {type(error).__name__}"

    # What workers are given

    def filled_in(self, config: Config) -> Config:
        """The settings with the passwords that secrets hold."""
        if not self._secrets:
            return config
        return replace(
            config,
            users=tuple(self._with_secret(user, user.name) for user in config.users),
            targets=tuple(self._with_secret(target, target.user) for target in config.targets),
        )

    def keys(self, config: Config) -> dict[str, SigningKeys]:
        """What signs tokens for each target."""
        return {target.name: self._keys[target.name] for target in config.targets if target.name in self._keys}

    def _with_secret(self, part: Part, user: str) -> Part:
        known = self._secrets.get(part.source)
        if known is None:
            return part
        name, passwords = known
        if part.password_file:
            return replace(part, password=passwords[0], other_passwords=passwords[1:] + part.other_passwords)
        if name != user:
            LOG.warning("secret %s is user %s's, not %s's; it is not used", part.secret_arn, name, user)
            return part
        if name == ANY_USER and isinstance(part, UserConfig):
            LOG.warning(
                'secret %s has the username "%s", which would stand for every user; it is not used',
                part.secret_arn,
                name,
            )
            return part
        filled = replace(part, password=passwords[0], other_passwords=passwords[1:])
        return replace(filled, plain_passwords=True) if isinstance(filled, UserConfig) else filled


def _forget_all_but(names: set[str], known: dict[str, Value]) -> None:
    """In place: a read that is under way is to find it."""
    for name in known.keys() - names:
        del known[name]


def _is_file(name: str) -> bool:
    return name.startswith("/")


def sources_of(config: Config) -> set[str]:
    """Files and ARNs of the secrets that settings name, and IAM where tokens are to be signed."""
    parts: list[UserConfig | TargetConfig] = [*config.users, *config.targets]
    found = {part.source for part in parts if part.source}
    return found | ({IAM} if any(part.database_iam for part in parts) else set())


def signing_targets(config: Config) -> set[str]:
    """Names of the targets at which somebody logs in with IAM tokens."""
    found = {target.name for target in config.targets if target.database_iam}
    by = [user for user in config.users if user.database_iam]
    return found | {proxy.target for proxy in config.proxies if any(not u.via or proxy.name in u.via for u in by)}
