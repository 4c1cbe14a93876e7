"""setSecret: how the new password gets into the database, for each strategy.

Owns the two strategies of AWS's templates for PostgreSQL (aws-samples/aws-secrets-manager-rotation-lambdas), with
their guards: user and server of the new credentials must be those of the secret, and a password is only changed for
somebody whose present credentials are good. Refuses to read secrets: what they hold is handed in.

Both begin by logging in with the new password, at the secret's server: where that works, the step was done before it
was cut off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass

from tidegate.control.rotation import databases
from tidegate.control.rotation.databases import Account, Connection, LoginError
from tidegate.control.services.secretsmanager.credentials import alternate_of
from tidegate.control.services.secretsmanager.functions import Strategy


class NotAllowed(Exception):
    """What the secret asks for is not what rotation does."""


@dataclass(frozen=True, slots=True)
class Accounts:
    """What the versions of a secret say, and its master's secret."""

    current: Account
    pending: Account
    previous: Account | None
    master: Account | None


def set_password(strategy: Strategy, accounts: Accounts) -> None:
    """Make the pending password the one that the database takes. LoginError, StatementError or NotAllowed if not."""
    if accounts.pending.place != accounts.current.place:  # asked first: nobody else's server is even tried
        raise NotAllowed("the pending secret names another server than the current one")
    if databases.can_log_in(accounts.pending):
        return
    _STRATEGIES[strategy](accounts)


def next_username(strategy: Strategy, username: str) -> str:
    """Whom the new credentials are for."""
    return alternate_of(username) if strategy is Strategy.MULTI_USER else username


def _single_user(accounts: Accounts) -> None:
    if accounts.pending.username != accounts.current.username:
        raise NotAllowed("the pending secret names another user than the current one")
    with closing(_own_login(accounts)) as connection:
        databases.change_password(connection, accounts.pending)


def _own_login(accounts: Accounts) -> Connection:
    """As the user itself. The previous password is tried too: a restored backup, or a rotation that went wrong, may
    have left the database with it."""
    try:
        return databases.login(accounts.current)
    except LoginError:
        previous = accounts.previous
        who = (accounts.pending.username, accounts.pending.place)
        if previous is None or (previous.username, previous.place) != who:
            raise
        try:
            return databases.login(previous)
        except LoginError:
            pass
        raise


def _multi_user(accounts: Accounts) -> None:
    master = accounts.master
    if master is None:
        raise NotAllowed("the secret names no master secret that may be used")
    if accounts.pending.username != alternate_of(accounts.current.username):
        raise NotAllowed("the pending secret names neither the current user's clone nor whom it is a clone of")
    if master.place != accounts.current.place:
        raise NotAllowed("the master secret names another server than the secret")
    databases.login(accounts.current).close()
    with closing(databases.login(master)) as connection:
        if databases.role_exists(connection, accounts.pending.username):
            databases.change_password(connection, accounts.pending)
        else:
            databases.create_like(connection, accounts.pending, accounts.current.username)


_STRATEGIES: Mapping[Strategy, Callable[[Accounts], None]] = {
    Strategy.SINGLE_USER: _single_user,
    Strategy.MULTI_USER: _multi_user,
}
