"""Which password a connection is tried with, and when a refusal is final."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from tidegate.auth.backend import Credential, PasswordCredential
from tidegate.auth.rds_token import SigningKeys
from tidegate.config.model import AuthMethod, Config, DatabaseConfig, ProxyConfig, SslMode, TargetConfig, UserConfig
from tidegate.errors import LoginUnsettled, PgError
from tidegate.proxy.control import CredentialLooked, CredentialRefused
from tidegate.proxy.database_logins import LOOK_PERIOD, MOST_WAITING, OWN, PATIENCE, DatabaseLogins

ARN = "arn:aws:secretsmanager:us-east-1:123456789012:secret:app-a1b2c3"
WRONG = PgError('password authentication failed for user "app"', "28P01", "FATAL")


class World:
    """A worker's settings, clock and supervisor, and a database that takes some passwords."""

    def __init__(self, *users: UserConfig, target: TargetConfig | None = None) -> None:
        self.config = Config(
            proxies=(ProxyConfig(name="main", listen=("127.0.0.1:0",), target="main"),),
            targets=(target or TargetConfig(name="main", host="db.example", user="postgres"),),
            users=users,
        )
        self.now = 100.0
        self.told: list[Any] = []
        self.logins = DatabaseLogins(lambda: self.config, lambda: self.now, lambda: 1.7e9, self.told.append)
        self.logins.configure({})

    @property
    def target(self) -> Any:
        return SimpleNamespace(config=self.config.targets[0], credentials={"shown": PasswordCredential("by a client")})

    def credential(self, user: str = "app") -> Credential:
        return self.logins.own(self.target) if user == OWN else self.logins.credential(self.target, user)

    def password(self, user: str = "app") -> str | None:
        credential = self.credential(user)
        return credential.password if isinstance(credential, PasswordCredential) else None

    def connect(self, *valid: str, user: str = "app") -> bool | None:
        """Try once: True let in, None refused but others may be right, False refused for good."""
        credential = self.credential(user)
        assert isinstance(credential, PasswordCredential)
        if credential.password in valid:
            self.logins.succeeded(self.target, user)
            return True
        error = self.logins.refused(self.target, user, credential, WRONG)
        assert str(error) == str(WRONG)
        return None if isinstance(error, LoginUnsettled) else False

    def change(self, **settings: Any) -> None:
        (user,) = self.config.users
        self.config = replace(self.config, users=(replace(user, **settings),))
        self.logins.configure({})


def test_what_clients_have_shown_serves_where_the_settings_have_no_password() -> None:
    world = World(UserConfig(name="app", auth_method=AuthMethod.TRUST))
    assert world.password("shown") == "by a client"
    assert world.password("app") is None
    assert world.logins.refused(world.target, "app", None, WRONG) is WRONG


@pytest.mark.parametrize("valid", ["one", "two", "three"])
def test_all_are_tried_and_the_right_one_stays(valid: str) -> None:
    world = World(UserConfig(name="app", password="one", other_passwords=("two", "three")))
    outcomes = []
    while not outcomes or outcomes[-1] is None:
        outcomes.append(world.connect(valid))
    assert outcomes == [None] * ("one", "two", "three").index(valid) + [True]
    assert [world.connect(valid) for _ in range(3)] == [True] * 3


def test_none_is_right() -> None:
    world = World(UserConfig(name="app", password="one", other_passwords=("two",)))
    assert [world.connect() for _ in range(8)] == [None, None, None, False] * 2
    assert world.logins.refusals == 2
    assert world.told == []


@pytest.mark.parametrize("source", ["", ARN])
def test_a_change_amid_a_round_of_tries(source: str) -> None:
    """The new password was tried before it was valid, the former one when it was so no more: neither is to blame."""
    world = World(UserConfig(name="app", password="new", other_passwords=("old", "older"), secret_arn=source))
    assert world.connect("old") is None
    assert world.connect("new") is None
    assert world.connect("new") is None
    if source:
        assert world.told == [CredentialRefused(serial=1, source=ARN)]
        world.logins.looked(CredentialLooked(serial=1, source=ARN))
        assert world.connect("none of them") is None
    assert world.connect("new") is True
    assert world.logins.refusals == 0


def test_back_and_forth() -> None:
    """The database may take back what it had taken: nothing is crossed out for ever."""
    world = World(UserConfig(name="app", password="one", other_passwords=("two",)))
    assert [world.connect("two") for _ in range(2)] == [None, True]
    assert [world.connect("one") for _ in range(2)] == [None, True]
    assert [world.connect("two") for _ in range(2)] == [None, True]


def test_several_at_a_time() -> None:
    """Those that began with the old password are refused after another was chosen: that one is not to blame."""
    world = World(UserConfig(name="app", password="one", other_passwords=("two",)))
    began = world.credential()
    for _ in range(3):
        assert isinstance(world.logins.refused(world.target, "app", began, WRONG), LoginUnsettled)
        assert world.password() == "two"


def test_a_secret_is_looked_at_before_a_refusal_is_final() -> None:
    world = World(UserConfig(name="app", password="old", secret_arn=ARN))
    assert world.connect("new") is None
    assert world.told == [CredentialRefused(serial=1, source=ARN)]
    assert world.connect("new") is None
    assert len(world.told) == 1
    world.change(password="new", other_passwords=("old",))
    world.logins.looked(CredentialLooked(serial=1, source=ARN))
    assert world.connect("new") is True


def test_a_secret_that_has_not_changed_makes_it_final() -> None:
    world = World(UserConfig(name="app", password="old", secret_arn=ARN))
    assert world.connect("new") is None
    world.logins.looked(CredentialLooked(serial=1, source=ARN))
    assert world.connect("new") is False
    assert world.connect("new") is None
    assert len(world.told) == 2


def test_new_settings_while_a_login_is_under_way() -> None:
    """Its refusal is of what was known before, whether or not anybody has logged in since."""
    world = World(UserConfig(name="app", password="old", secret_arn=ARN))
    began = world.credential()
    world.change(password="new", other_passwords=("old",))
    assert isinstance(world.logins.refused(world.target, "app", began, WRONG), LoginUnsettled)
    assert world.told == []
    assert world.connect("new") is True


def test_a_look_of_before_the_refusal_says_nothing() -> None:
    """It may have met the former password; only the look that was asked for since makes a refusal final."""
    world = World(UserConfig(name="app", password="old", secret_arn=ARN))
    assert world.connect("new") is None
    world.logins.looked(CredentialLooked(serial=1, source=ARN))
    assert world.connect("new") is False
    assert world.connect("new") is None
    world.logins.looked(CredentialLooked(serial=1, source=ARN))
    assert world.connect("new") is None
    world.logins.looked(CredentialLooked(serial=2, source=ARN))
    assert world.connect("new") is False


def test_clients_wait_for_a_look_that_began_after_they_came() -> None:
    world = World(UserConfig(name="app", password="old", secret_arn=ARN))
    resumed: list[object] = []
    client: Any = SimpleNamespace(client=SimpleNamespace(resume_login=resumed.append), secret_looked="resumed")
    assert world.connect("new") is None
    assert world.logins.wait(ARN, client)
    assert [one.serial for one in world.told] == [1, 2]
    world.logins.looked(CredentialLooked(serial=1, source=ARN))
    assert resumed == []
    world.logins.looked(CredentialLooked(serial=2, source=ARN))
    assert resumed == ["resumed"]


def test_nobodys_wrong_password_takes_the_read_of_others() -> None:
    """One read in LOOK_PERIOD at most; who comes meanwhile has the next one, not the last one's answer."""
    world = World(UserConfig(name="app", password="old", secret_arn=ARN))
    resumed: list[object] = []

    def come(name: str) -> bool:
        client: Any = SimpleNamespace(client=SimpleNamespace(resume_login=resumed.append), secret_looked=name)
        return world.logins.wait(ARN, client)

    assert come("wrong")
    assert come("during the read")
    world.logins.looked(CredentialLooked(serial=1, source=ARN))
    assert resumed == ["wrong"]
    assert come("soon after")
    world.logins.check(world.now + LOOK_PERIOD - 1)
    assert [one.serial for one in world.told] == [1]
    world.logins.check(world.now + LOOK_PERIOD)
    assert [one.serial for one in world.told] == [1, 2]
    world.logins.looked(CredentialLooked(serial=2, source=ARN))
    assert resumed == ["wrong", "during the read", "soon after"]


def test_too_many_wrong_passwords_are_refused_at_once() -> None:
    world = World(UserConfig(name="app", password="old", secret_arn=ARN))
    client: Any = SimpleNamespace()
    outcomes = [world.logins.wait(ARN, client) for _ in range(MOST_WAITING + 2)]
    assert outcomes == [True] * (MOST_WAITING + 1) + [False]
    assert len(world.told) == 1


def test_a_supervisor_that_does_not_answer() -> None:
    world = World(UserConfig(name="app", password="old", secret_arn=ARN))
    assert world.connect("new") is None
    world.now += PATIENCE
    assert world.connect("new") is False


def test_other_errors_are_what_they_are() -> None:
    world = World(UserConfig(name="app", password="one", other_passwords=("two",)))
    world.password()
    error = PgError("sorry, too many clients already", "53300", "FATAL")
    assert world.logins.refused(world.target, "app", world.credential(), error) is error
    assert world.password() == "one"


def test_the_proxys_own_login() -> None:
    target = TargetConfig(
        name="main", host="db", user="postgres", password="one", other_passwords=("two",), secret_arn=ARN
    )
    world = World(target=target)
    assert world.connect("two", user=OWN) is None
    assert world.connect("two", user=OWN) is True
    plain = World(target=TargetConfig(name="main", host="db", user="postgres", password="one"))
    assert plain.password(OWN) == "one"
    assert plain.logins.refused(plain.target, OWN, plain.credential(OWN), WRONG) is WRONG


def test_a_fresh_token_for_each_connection() -> None:
    world = World(UserConfig(name="app", database_iam=True))
    assert world.password() is None
    keys = SigningKeys(region="eu-west-1", access_key="AKIAEXAMPLE", secret_key="s3cr3t", session_token="session")
    world.logins.configure({"main": keys})
    token = world.password()
    assert token is not None
    assert token.startswith("db.example:5432/?Action=connect&DBUser=app&X-Amz-Algorithm=AWS4-HMAC-SHA256")
    assert "X-Amz-Security-Token=session" in token
    assert "s3cr3t" not in repr(keys) + token


def test_users_of_several_proxies() -> None:
    """Who comes by proxies of other targets says nothing of this one's passwords."""
    world = World(
        UserConfig(name="app", password="elsewhere", other_passwords=("x",), via=("other",)),
        UserConfig(name="app", password="here", other_passwords=("y",), via=("main",)),
    )
    assert world.password() == "here"


def test_one_plain_password_goes_before_what_clients_have_shown() -> None:
    """Who logged in with a former password, while that was good, has shown what is none any more."""
    world = World(UserConfig(name="shown", password="now"))
    assert world.password("shown") == "now"


@pytest.mark.parametrize("stored", ["", "md5" + "0" * 32])
def test_verifiers_log_in_by_what_clients_have_shown(stored: str) -> None:
    assert World(UserConfig(name="shown", password=stored)).password("shown") == "by a client"


def test_a_forced_users_own_password_goes_before_all() -> None:
    world = World(UserConfig(name="shown", password="listed", other_passwords=("too",)))
    entry = DatabaseConfig(user="shown", password="of the entry")
    (proxy,) = world.config.proxies
    world.config = replace(world.config, proxies=(replace(proxy, databases={"*": entry}),))
    assert world.password("shown") == "by a client", "the gate has put the entry's there"


def test_a_secret_that_was_never_read_is_asked_for() -> None:
    world = World(UserConfig(name="app", auth_method=AuthMethod.TRUST, secret_arn=ARN))
    assert isinstance(world.logins.refused(world.target, "app", world.credential(), WRONG), LoginUnsettled)
    assert world.told == [CredentialRefused(serial=1, source=ARN)]
    world.logins.looked(CredentialLooked(serial=1, source=ARN))
    assert world.logins.refused(world.target, "app", None, WRONG) is WRONG


def test_a_database_that_is_closed_to_a_role_says_nothing_of_its_password() -> None:
    world = World(UserConfig(name="app", password="one", other_passwords=("two",)))
    error = PgError("no pg_hba.conf entry", "28000", "FATAL")
    assert world.logins.refused(world.target, "app", world.credential(), error) is error
    assert world.password() == "one"


def test_keys_that_sign_tokens_are_looked_at_again() -> None:
    target = TargetConfig(name="main", host="db", user="postgres", database_iam=True)
    world = World(target=target)
    keys = SigningKeys(region="eu-west-1", access_key="AKIA", secret_key="k", session_token="")
    world.logins.configure({"main": keys})
    error = PgError("PAM authentication failed", "28000", "FATAL")
    assert isinstance(world.logins.refused(world.target, OWN, world.credential(OWN), error), LoginUnsettled)
    assert world.told == [CredentialRefused(serial=1, source="iam")]


LOOKALIKES = ("SCRAM-SHA-256$no verifier", "md5" + "0" * 32)


@pytest.mark.parametrize("password", LOOKALIKES)
def test_a_plain_password_that_looks_like_a_verifier(password: str) -> None:
    """Secrets and the API have plain ones only, and so has the proxy's own login."""
    world = World(UserConfig(name="app", password=password, other_passwords=("old",), plain_passwords=True))
    assert world.password() == password
    world.config = replace(world.config, targets=(replace(world.config.targets[0], password=password),))
    assert world.password(OWN) == password


@pytest.mark.parametrize(
    ("settings", "allowed"),
    [
        ({}, False),
        ({"sslmode": SslMode.DISABLE}, False),
        ({"sslmode": SslMode.REQUIRE}, True),
        ({"sslmode": SslMode.VERIFY_FULL}, True),
        ({"host": "/run/postgresql"}, True),
        ({"cleartext_passwords": True}, True),
    ],
)
@pytest.mark.parametrize("user", ["app", "shown", OWN])
def test_where_a_password_may_go_in_clear(settings: dict[str, Any], allowed: bool, user: str) -> None:
    """It goes over TLS that is required, or stays in the machine."""
    world = World(UserConfig(name="app", password="one"))
    world.config = replace(world.config, targets=(replace(world.config.targets[0], password="own"),))
    world.credential(user)  # a reload changes the target beneath what is known
    world.config = replace(world.config, targets=(replace(world.config.targets[0], **settings),))
    world.logins.configure({})
    credential = world.credential(user)
    assert isinstance(credential, PasswordCredential) and credential.in_clear is allowed
