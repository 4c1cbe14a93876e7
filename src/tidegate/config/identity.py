"""Rules of the settings that say who a user is: secrets, IAM, which proxies a user may come by.

Owns those rules. Refuses to ask AWS whether what is named is there (`proxy.credentials`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tidegate.config.model import AuthMethod, SslMode
from tidegate.config.passwords import SecretKind, kind_of
from tidegate.config.problems import Problem, did_you_mean

Table = Mapping[str, Any]
Label = tuple[str, ...]

_SECRET_ARN = re.compile(r"arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+")
_CLEAR = (SslMode.DISABLE, SslMode.PREFER)


def secret_problems(where: Label, table: Table) -> Iterator[Problem]:
    """What is wrong with where a [[user]] or [[target]] has its password from."""
    arn = table.get("secret_arn")
    if isinstance(arn, str) and arn:
        if not _SECRET_ARN.fullmatch(arn):
            yield Problem(where, "secret_arn", "must be the ARN of a secret, arn:aws:secretsmanager:...", arn)
        if table.get("password"):
            yield Problem(where, "secret_arn", "give this or password, not both", arn)
        if table.get("other_passwords"):
            yield Problem(where, "other_passwords", "come with the secret; leave them out")
    elif table.get("other_passwords") and not table.get("password"):
        yield Problem(where, "other_passwords", "are tried after password, which is missing")
    if table.get("database_iam") is True and (arn or table.get("password")):
        yield Problem(where, "database_iam", "does without a password; leave out password and secret_arn", True)
    others = table.get("other_passwords")
    for text in others if isinstance(others, list) and table.get("plain_passwords") is not True else ():
        if isinstance(text, str) and _is_stored(text):
            yield Problem(where, "other_passwords", "must be plain passwords")


def target_problems(where: Label, target: Table, users: Sequence[Table], proxies: Sequence[Table]) -> Iterator[Problem]:
    """What is wrong with IAM at one [[target]], which these proxies may have: tokens are sent in clear, within TLS."""
    mode = target.get("sslmode", SslMode.PREFER)
    before = [proxy for proxy in proxies if proxy.get("target") == target.get("name")]
    served = [user for user in users if any(may_come_by(user, proxy) for proxy in before)]
    if mode in _CLEAR and any(one.get("database_iam") is True for one in (target, *served)):
        yield Problem(where, "sslmode", f'must be require or stricter for database_iam, not "{mode}"')


def proxy_problems(where: Label, proxy: Table, users: Sequence[Table]) -> Iterator[Problem]:
    """What is wrong with IAM at one [[proxy]]."""
    methods = [user.get("auth_method") for user in users if may_come_by(user, proxy)]
    if AuthMethod.IAM in (proxy.get("auth_method"), *methods):
        if not proxy.get("tls_certificate"):
            yield Problem(where, "tls_certificate", "is missing: IAM tokens are taken over TLS only")
        if not proxy.get("iam_server_id"):
            yield Problem(where, "iam_server_id", "is missing: what do IAM tokens say that they are made for?")
    if proxy.get("pass_through") is True and users:
        yield Problem(where, "pass_through", "can't be true where a [[user]] is listed", True)


def user_problems(where: Label, user: Table, proxies: Sequence[Table]) -> Iterator[Problem]:
    """What is wrong with who a [[user]] is."""
    names = [proxy["name"] for proxy in proxies if isinstance(proxy.get("name"), str)]
    named = user.get("via")
    for name in named if isinstance(named, list) else ():
        if isinstance(name, str) and name not in names:
            yield Problem(where, "via", f"no [[proxy]] has this name{did_you_mean(name, names)}", name)
    methods = [user["auth_method"]] if user.get("auth_method") else [proxy.get("auth_method") for proxy in proxies]
    if user.get("auth_method") == AuthMethod.IAM and not user.get("iam_arns"):
        yield Problem(where, "iam_arns", "is missing: which AWS roles may log in as this user?")
    if user.get("iam_arns") and AuthMethod.IAM not in methods:
        yield Problem(where, "iam_arns", 'does nothing without auth_method = "iam"')


def may_come_by(user: Table, proxy: Table) -> bool:
    """Whether clients of a proxy may log in as a [[user]]."""
    named = user.get("via")
    return not named or (isinstance(named, list) and proxy.get("name") in named)


def needs_password(user: Table, methods: set[str]) -> bool:
    """Whether a [[user]] must have a password in the file: not where a secret, IAM or trust stands for it."""
    passwordless = {AuthMethod.TRUST, AuthMethod.CERT, AuthMethod.IAM}
    return not user.get("secret_arn") and bool(methods - passwordless)


def _is_stored(text: str) -> bool:
    try:
        return kind_of(text) is not SecretKind.PLAIN
    except ValueError:
        return True
