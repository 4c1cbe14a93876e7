"""Who a user is: the exact words for each rule of secrets, IAM and the proxies that a user may come by."""

from __future__ import annotations

import tomllib

import pytest

from tidegate.config.checks import check_rules

ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:team/app-a1b2c3"
STORED = "md5" + "0" * 32
TARGET = '[[target]]\nname = "main"\nhost = "db"\nuser = "tidegate"\n'
PROXY = '[[proxy]]\nname = "main"\nlisten = ["127.0.0.1:6432"]\ntarget = "main"\n'
SECURED = PROXY + 'tls_certificate = "c"\ntls_key = "k"\niam_server_id = "orders"\n'
SECOND = '[[proxy]]\nname = "second"\nlisten = ["127.0.0.1:6433"]\ntarget = "main"\n'
USER = '[[user]]\nname = "app"\n'
IAM = 'auth_method = "iam"\niam_arns = ["arn:aws:iam::123456789012:role/fn"]\n'
ARNS = 'iam_arns = ["arn:aws:iam::123456789012:role/fn"]\n'


def said(text: str) -> list[str]:
    """Every broken rule."""
    return [problem.line("") for problem in check_rules(tomllib.loads(text))]


@pytest.mark.parametrize(
    "lines",
    [
        f'secret_arn = "{ARN}"',
        'secret_arn = ""\npassword = "pw"',
        f'secret_arn = "{ARN.replace("arn:aws:", "arn:aws-cn:")}"',
        f'secret_arn = "{ARN.replace("arn:aws:", "arn:aws-us-gov:")}"',
        'password = "a"\nother_passwords = ["b", "c"]',
        f'password = "{STORED}"\nother_passwords = ["b"]',
        f'plain_passwords = true\npassword = "SCRAM-SHA-256$x"\nother_passwords = ["{STORED}", "SCRAM-SHA-256$y"]',
        f'secret_arn = "{ARN}"\nauth_method = "md5"',
        'password = "a"\nvia = ["main"]',
    ],
)
def test_allowed_of_a_user(lines: str) -> None:
    assert said(TARGET + PROXY + USER + lines) == []


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        (
            'secret_arn = "app"',
            'secret_arn = "app": must be the ARN of a secret, arn:aws:secretsmanager:...',
        ),
        (
            'secret_arn = "arn:aws:s3:eu-west-1:123456789012:secret:x"',
            'secret_arn = "arn:aws:s3:eu-west-1:123456789012:secret:x": must be the ARN of a secret,'
            " arn:aws:secretsmanager:...",
        ),
        (
            'secret_arn = "arn:aws:secretsmanager:e:123456789012:secret:a b"',
            'secret_arn = "arn:aws:secretsmanager:e:123456789012:secret:a b": must be the ARN of a secret,'
            " arn:aws:secretsmanager:...",
        ),
        (f'secret_arn = "{ARN}"\npassword = "pw"', "secret_arn = {arn}: give this or password, not both"),
        (
            f'secret_arn = "{ARN}"\nother_passwords = ["b"]',
            "other_passwords: come with the secret; leave them out",
        ),
        (
            f'password = "pw"\nother_passwords = ["{STORED}"]',
            "other_passwords: must be plain passwords",
        ),
        (
            'password = "pw"\nother_passwords = ["SCRAM-SHA-256$x"]',
            "other_passwords: must be plain passwords",
        ),
    ],
)
@pytest.mark.parametrize("kind", ["user", "target"])
def test_passwords(kind: str, lines: str, problem: str) -> None:
    """The same of a [[user]] and of a [[target]]'s own login; no password is repeated."""
    text = TARGET + lines + "\n" + PROXY if kind == "target" else TARGET + PROXY + USER + lines
    name = "main" if kind == "target" else "app"
    shown = '"' + ARN[:56] + "..."
    assert said(text) == [f'[[{kind}]] "{name}": ' + problem.format(arn=shown)]


def test_other_passwords_alone() -> None:
    problem = "other_passwords: are tried after password, which is missing"
    assert said(TARGET + 'other_passwords = ["b"]\n' + PROXY) == [f'[[target]] "main": {problem}']
    assert said(TARGET + PROXY + USER + 'auth_method = "trust"\nother_passwords = ["b"]') == [
        f'[[user]] "app": {problem}'
    ]


DOES_WITHOUT = "database_iam = true: does without a password; leave out password and secret_arn"


@pytest.mark.parametrize("lines", ['password = "pw"', f'secret_arn = "{ARN}"'])
def test_database_iam_has_no_password(lines: str) -> None:
    target = TARGET + 'sslmode = "require"\n'
    assert said(target + f"database_iam = true\n{lines}\n" + PROXY) == [f'[[target]] "main": {DOES_WITHOUT}']
    user = USER + f'auth_method = "trust"\ndatabase_iam = true\n{lines}\n'
    assert said(target + PROXY + user) == [f'[[user]] "app": {DOES_WITHOUT}']


@pytest.mark.parametrize("mode", ["disable", "prefer", None])
@pytest.mark.parametrize("whose", ["target", "user"])
def test_database_iam_needs_tls(mode: str | None, whose: str) -> None:
    """A token is sent in clear: whoever hears it may log in with it for a quarter of an hour."""
    target = TARGET + (f'sslmode = "{mode}"\n' if mode else "")
    if whose == "target":
        text = target + "database_iam = true\n" + PROXY
    else:
        text = target + PROXY + USER + 'auth_method = "trust"\ndatabase_iam = true\n'
    assert said(text) == [
        f'[[target]] "main": sslmode: must be require or stricter for database_iam, not "{mode or "prefer"}"'
    ]


def test_database_iam_at_another_target_needs_no_tls_at_this_one() -> None:
    user = USER + 'auth_method = "trust"\ndatabase_iam = true\n'
    other = TARGET.replace('"main"', '"other"') + 'sslmode = "require"\n'
    second = SECOND.replace('target = "main"', 'target = "other"')
    assert said(TARGET + other + PROXY + second + user + 'via = ["second"]\n') == []
    assert len(said(TARGET + other + PROXY + second + user)) == 1


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
def test_database_iam_over_tls(mode: str) -> None:
    assert said(TARGET + f'sslmode = "{mode}"\ndatabase_iam = true\n' + PROXY) == []


def test_iam_to_the_proxy() -> None:
    assert said(TARGET + SECURED + USER + IAM) == []
    assert said(TARGET + SECURED + 'auth_method = "iam"\n' + USER + ARNS) == []


NEEDS = [
    '[[proxy]] "main": tls_certificate: is missing: IAM tokens are taken over TLS only',
    '[[proxy]] "main": iam_server_id: is missing: what do IAM tokens say that they are made for?',
]


@pytest.mark.parametrize("text", [PROXY + USER + IAM, PROXY + 'auth_method = "iam"\n' + USER + ARNS])
def test_what_a_proxy_needs_for_iam(text: str) -> None:
    assert said(TARGET + text) == NEEDS


def test_a_proxy_that_no_user_of_iam_comes_by_needs_nothing() -> None:
    assert said(TARGET + SECURED + SECOND + USER + IAM + 'via = ["main"]\n') == []
    assert said(TARGET + PROXY + SECOND + USER + IAM + 'via = ["main"]\n') == NEEDS


def test_users_of_iam() -> None:
    assert said(TARGET + SECURED + USER + 'auth_method = "iam"') == [
        '[[user]] "app": iam_arns: is missing: which AWS roles may log in as this user?'
    ]
    assert said(TARGET + SECURED + USER + 'password = "pw"\n' + ARNS) == [
        '[[user]] "app": iam_arns: does nothing without auth_method = "iam"'
    ]
    other = SECOND + 'auth_method = "iam"\ntls_certificate = "c"\ntls_key = "k"\niam_server_id = "second"\n'
    assert said(TARGET + PROXY + other + USER + 'password = "pw"\n' + ARNS) == []


def test_via() -> None:
    assert said(TARGET + PROXY + USER + 'password = "pw"\nvia = ["mian"]') == [
        '[[user]] "app": via = "mian": no [[proxy]] has this name; did you mean main?'
    ]
    assert said(TARGET + PROXY + USER + 'password = "pw"\nvia = ["other", "main"]') == [
        '[[user]] "app": via = "other": no [[proxy]] has this name'
    ]


def test_pass_through() -> None:
    assert said(TARGET + PROXY + "pass_through = true\n") == []
    assert said(TARGET + PROXY + "pass_through = false\n" + USER + 'password = "pw"') == []
    assert said(TARGET + PROXY + "pass_through = true\n" + USER + 'password = "pw"') == [
        '[[proxy]] "main": pass_through = true: can\'t be true where a [[user]] is listed'
    ]


@pytest.mark.parametrize("method", ["trust", "cert", "iam"])
def test_who_needs_no_password(method: str) -> None:
    proxy = SECURED + 'tls_client_ca = "a"\n' + f'auth_method = "{method}"\n'
    assert said(TARGET + proxy + USER) == []


@pytest.mark.parametrize("method", ["scram-sha-256", "md5", "password"])
def test_who_needs_one(method: str) -> None:
    (problem,) = said(TARGET + PROXY + f'auth_method = "{method}"\n' + USER)
    assert problem.startswith('[[user]] "app": password: is missing')
    assert said(TARGET + PROXY + f'auth_method = "{method}"\n' + USER + f'secret_arn = "{ARN}"') == []


WRONG_TYPES = ("secret_arn", "password", "other_passwords", "database_iam", "iam_arns", "via", "auth_method")


@pytest.mark.parametrize("key", WRONG_TYPES)
@pytest.mark.parametrize("value", ["5", "true", "[5]", "[[]]", "{}", '"x"', '["x"]', "1979-05-27"])
def test_wrong_types_are_no_crash(key: str, value: str) -> None:
    """`shape` reports them: rules run on the file as it is, and skip what they can't read."""
    line = f"{key} = {value}\n"
    said(TARGET + line + PROXY + line + USER + line)
