"""The account that everything belongs to: its number, region and root access key, and the first start that makes it.

Owns the record of it, and how such values are made. Refuses the files that SDKs read it from (`profile`), the data
folder (`folder`), and what a new account is furnished with (default VPC and the like): the caller brings that along.
"""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Callable, Sequence
from typing import ClassVar

from pydantic import Field

from tidegate.control.store.store import Record, Transaction
from tidegate.errors import ConfigError

DEFAULT_REGION = "us-east-1"
BASE32 = string.ascii_uppercase + "234567"
KEY_LETTERS = string.ascii_letters + string.digits + "+/"
NUMBER = re.compile(r"[0-9]{12}", re.ASCII)
REGION = re.compile(r"[a-z]{2,4}(-[a-z]{2,12}){1,3}-[0-9]{1,2}", re.ASCII)


class Account(Record):
    """The one account of a data folder."""

    kind: ClassVar[str] = "account"

    number: str = Field(pattern=r"^[0-9]{12}$")
    region: str
    root_access_key: str
    root_secret: str = Field(repr=False)
    created: float
    """Seconds since 1970."""

    @property
    def key(self) -> str:
        """There is but one."""
        return "account"


Seed = Callable[[Transaction, Account], None]
"""Furnishes a new account, in the transaction that makes it."""


def find_account(transaction: Transaction) -> Account | None:
    """The account, unless there has been no first start yet."""
    return transaction.table(Account).get("account")


def first_start(
    transaction: Transaction,
    *,
    now: float,
    number: str | None = None,
    region: str | None = None,
    seeds: Sequence[Seed] = (),
) -> Account:
    """The account, made and furnished if there is none yet: all in one transaction, so never by half.

    number: 12 digits, random if None; region: us-east-1 if None; now: seconds since 1970. ConfigError if one of them
    is none, or not what the account has had since its first start: ARNs that are out in the world hold both.
    """
    if number is not None and not NUMBER.fullmatch(number):
        raise ConfigError(f"account = {number!r}: must be 12 digits")
    if region is not None and not REGION.fullmatch(region):
        raise ConfigError(f"region = {region!r}: must be a region's name, such as us-east-1")
    account = find_account(transaction)
    if account is not None:
        _check_same("account", number, account.number)
        _check_same("region", region, account.region)
        return account
    account = Account(
        number=number or new_account_number(),
        region=region or DEFAULT_REGION,
        root_access_key=new_access_key_id(),
        root_secret=new_secret_key(),
        created=now,
    )
    transaction.table(Account).put(account)
    for seed in seeds:
        seed(transaction, account)
    return account


def _check_same(what: str, given: str | None, kept: str) -> None:
    if given not in (None, kept):
        raise ConfigError(f"{what} = {given!r}: this data folder was made for {kept!r}, which cannot be changed")


def new_access_key_id(prefix: str = "AKIA") -> str:
    """AKIA (long-term) or ASIA (temporary), and 16 of A-Z and 2-7."""
    return prefix + "".join(secrets.choice(BASE32) for _ in range(16))


def new_secret_key() -> str:
    """40 letters, digits, plus signs and slashes, as AWS's are."""
    return "".join(secrets.choice(KEY_LETTERS) for _ in range(40))


def new_account_number() -> str:
    """12 digits, the first of which is not 0: too many tools read it as a number."""
    return str(secrets.randbelow(9 * 10**11) + 10**11)
