"""What to log in with at the database, as users whose password is not one fixed text.

Owns the choice among several passwords of a user, and IAM tokens. Refuses to fetch secrets: the supervisor does
(`credentials`), and it is asked once a database has refused all that is known.

    the database refuses a password        what follows
    another one has not been tried         that is tried; clients wait
    all were tried, the secret not yet     the supervisor looks at the secret; clients wait
    looked at, and it has changed          the new passwords come with new settings, and are tried
    looked at, and it has not              of several, all are tried once more
    that was done                          the refusal is final: clients are told, and it all begins anew

While one password replaces another, at the database and in the secret, neither place has it before the other at a
moment that is known. So what was refused once may be right the next time, and nothing is remembered beyond a round; and
a change amid a round makes all fail, the new one before it and the former one behind it, but not those of the next.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tidegate.auth.backend import Credential, PasswordCredential
from tidegate.auth.rds_token import SigningKeys, make_token
from tidegate.auth.verifiers import Plain, parse_secret
from tidegate.config.choices import SslMode
from tidegate.errors import LoginUnsettled, PgError, Sqlstate
from tidegate.proxy.control import CredentialLooked, CredentialRefused, Message

if TYPE_CHECKING:
    from tidegate.config.model import Config, TargetConfig, UserConfig
    from tidegate.proxy.login import ClientLogin
    from tidegate.proxy.target import Target

OWN = ""
"""In place of a user's name: the proxy's own login."""

IAM = "iam"
"""In place of a secret's ARN: the keys that sign tokens."""

PATIENCE = 10.0
"""Seconds that clients wait for the supervisor's look at a secret."""

LOOK_PERIOD = 5.0
"""Seconds between two reads of a secret that clients' wrong passwords are reason for."""

MOST_WAITING = 1000
"""Clients that wait for one."""

REFUSALS = (Sqlstate.INVALID_PASSWORD,)
REFUSALS_OF_TOKENS = (Sqlstate.INVALID_PASSWORD, Sqlstate.INVALID_AUTHORIZATION)
"""What another password, or other keys, may mend. 28000 also says that a role may not come to a database at all."""


@dataclass(slots=True)
class _Login:
    """A user's passwords at one target, and what has become of them in this round."""

    passwords: tuple[str, ...] = field(repr=False)
    source: str
    """ARN of the secret, path of the file, IAM, or "" where the settings say it all."""
    credentials: list[PasswordCredential] = field(repr=False)
    at: int = 0
    tried: set[int] = field(default_factory=set)
    asked_at: float | None = None
    question: int = 0
    """Serial of the look that was asked for."""
    looked: bool = False
    again: bool = False
    """Whether all have been refused once, and are tried again."""


@dataclass(slots=True)
class _Waiting:
    """Clients whose proof fits nothing that is known of a secret, while it is read once more."""

    question: int
    clients: list[ClientLogin]


class DatabaseLogins:
    """One worker's. `clock`: seconds of the loop; `wall_clock`: seconds since 1970."""

    def __init__(
        self,
        config: Callable[[], Config],
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        tell: Callable[[Message], None],
    ) -> None:
        self._config = config
        self._clock = clock
        self._wall_clock = wall_clock
        self._tell = tell
        self._logins: dict[tuple[str, str], _Login] = {}
        self.refusals = 0
        """Rounds that ended in a refusal for good."""
        self._keys: dict[str, SigningKeys] = {}
        self._waiting: dict[str, _Waiting] = {}
        """By secret: whom the read under way is for."""
        self._to_come: dict[str, list[ClientLogin]] = {}
        """By secret: whom the next one is for."""
        self._looked_at: dict[str, float] = {}
        self._serial = 0

    def configure(self, keys: dict[str, SigningKeys]) -> None:
        """There are new settings; `keys`: by target, of those who sign tokens."""
        self._keys = keys
        config = self._config()
        targets = {target.name: target for target in config.targets}
        for name, user in list(self._logins):
            known = self._logins[name, user]
            if name not in targets or (known.passwords, known.source) != _passwords_of(config, targets[name], user):
                del self._logins[name, user]

    def credential(self, target: Target, user: str) -> Credential:
        """What the next connection logs in with: what the settings have, or what a client has shown."""
        login = self._login(target.config, user)
        known = target.credentials.get(user) if login is None else self._next(target.config, login, user)
        return _guarded(target.config, known)

    def own(self, target: Target) -> Credential:
        """The same for the proxy's own login."""
        config = target.config
        login = self._login(config, OWN)
        if login is None:
            return None
        return _guarded(config, self._next(config, login, config.user))

    def refused(self, target: Target, user: str, shown: Credential, error: PgError) -> PgError:
        """What a refused login means: LoginUnsettled while it may still come right, else the error itself.

        `user`: OWN for the proxy's own; `shown`: what it was made with, since others may have been under way beside it.
        """
        login = self._login(target.config, user)
        if login is None or error.sqlstate not in (REFUSALS_OF_TOKENS if login.source == IAM else REFUSALS):
            return error
        unsettled = LoginUnsettled(error.message, error.sqlstate, error.severity)
        if login.source != IAM and login.credentials:
            refused = next((at for at, known in enumerate(login.credentials) if known is shown), None)
            if refused is None:
                return unsettled  # it was of the settings before
            login.tried.add(refused)
            untried = next((at for at in range(len(login.passwords)) if at not in login.tried), None)
            if untried is not None:
                login.at = untried if login.at == refused else login.at
                return unsettled
        if self._may_change(login):
            return unsettled
        login.tried.clear()
        login.at = 0
        if len(login.passwords) > 1 and not login.again:
            login.again = True
            return unsettled
        login.asked_at, login.again = None, False
        self.refusals += 1
        return error

    def succeeded(self, target: Target, user: str) -> None:
        """The database has let the user in: the next refusal begins a round of its own."""
        login = self._logins.get((target.config.name, user))
        if login is not None and (login.tried or login.again or login.asked_at is not None):
            login.tried.clear()
            login.asked_at, login.again = None, False

    def looked(self, message: CredentialLooked) -> None:
        """The supervisor has looked at a secret; if it has changed, the new settings have come before this."""
        for login in self._logins.values():
            if login.source == message.source and login.question <= message.serial:
                login.looked = True
        waiting = self._waiting.get(message.source)
        if waiting is not None and waiting.question <= message.serial:
            self._resume(message.source)

    def wait(self, source: str, client: ClientLogin) -> bool:
        """Have a secret read that a client's proof does not fit: it may be ahead of us. False if too many wait.

        One read serves all who came before it, and there is one in LOOK_PERIOD at most: anybody may send wrong
        passwords. Who comes too soon for the next one waits for it, so that nobody's wrong password is a reason to
        refuse somebody else's right one.
        """
        clients = self._to_come.setdefault(source, [])
        if len(clients) >= MOST_WAITING:
            return False
        clients.append(client)
        self._read_if_due(source, self._clock())
        return True

    def check(self, now: float) -> None:
        """Called every second or so: who has waited too long for the supervisor is judged by what is known."""
        for source in [one for one in self._waiting if now - self._looked_at[one] > PATIENCE]:
            self._resume(source)
        for source in list(self._to_come):
            self._read_if_due(source, now)

    def _read_if_due(self, source: str, now: float) -> None:
        if source in self._waiting or now - self._looked_at.get(source, -LOOK_PERIOD) < LOOK_PERIOD:
            return
        self._looked_at[source] = now
        self._waiting[source] = _Waiting(self._ask(source), self._to_come.pop(source))

    def _resume(self, source: str) -> None:
        for client in self._waiting.pop(source).clients:
            client.client.resume_login(client.secret_looked)

    def _ask(self, source: str) -> int:
        """Have a secret looked at. A look that began before counts for nothing: it may have met the former password."""
        self._serial += 1
        self._tell(CredentialRefused(serial=self._serial, source=source))
        return self._serial

    def _may_change(self, login: _Login) -> bool:
        """Whether the secret is still to be looked at; has that begun."""
        if not login.source:
            return False
        if login.asked_at is None:
            login.asked_at, login.looked = self._clock(), False
            login.question = self._ask(login.source)
            return True
        return not login.looked and self._clock() - login.asked_at < PATIENCE

    def _login(self, target: TargetConfig, user: str) -> _Login | None:
        known = self._logins.get((target.name, user))
        if known is None:
            passwords, source = _passwords_of(self._config(), target, user)
            if not source and not passwords:
                return None  # what clients have shown is all there is
            known = _Login(passwords, source, [PasswordCredential(password) for password in passwords])
            self._logins[target.name, user] = known
        return known

    def _next(self, target: TargetConfig, login: _Login, user: str) -> Credential:
        if login.source == IAM:
            return self._token(target, user)
        return login.credentials[login.at] if login.credentials else None

    def _token(self, target: TargetConfig, user: str) -> Credential:
        """A fresh one for each connection, as AWS recommends; None while there are no keys to sign it with."""
        keys = self._keys.get(target.name)
        if keys is None:
            return None
        return PasswordCredential(make_token(target.host, target.port, user, keys, self._wall_clock()))


def _passwords_of(config: Config, target: TargetConfig, user: str) -> tuple[tuple[str, ...], str]:
    """A user's plain passwords at a target, the likeliest first, and where they come from ("": the settings).

    A user's verifiers and hashes are none: with these the database lets in by what a client has shown. What is the
    proxy's own is plain always.
    """
    if user == OWN:
        source = IAM if target.database_iam else target.source
        return _each_once(target.password, *target.other_passwords), source
    entries = [entry for proxy in config.proxies if proxy.target == target.name for entry in proxy.databases.values()]
    own = [entry.password for entry in entries if entry.user == user and entry.password is not None]
    if own:
        return (), ""  # a forced user's own password goes before all others, and differs from entry to entry
    listed = config.users_at(user, target.name)
    if any(one.database_iam for one in listed):
        return (), IAM
    passwords = [text for one in listed for text in (one.password, *one.other_passwords) if _is_plain(one, text)]
    return _each_once(*passwords), next((one.source for one in listed if one.source), "")


def _guarded(target: TargetConfig, credential: Credential) -> Credential:
    """The credential, told whether the target's connections may carry it in clear: what a client has shown, too.

    With sslmode prefer whoever answers in the database's place chooses what is encrypted, and asks in clear.
    """
    if isinstance(credential, PasswordCredential):
        required = target.sslmode not in (SslMode.DISABLE, SslMode.PREFER) or target.host.startswith("/")
        credential.in_clear = required or target.cleartext_passwords
    return credential


def _is_plain(user: UserConfig, text: str) -> bool:
    return bool(text) and (user.plain_passwords or isinstance(parse_secret(text), Plain))


def _each_once(*passwords: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one for one in passwords if one))
