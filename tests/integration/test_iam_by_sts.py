"""auth_method = "iam" where STS vouches for clients (ours stands for AWS's), and IAM tokens to a database."""

from __future__ import annotations

import base64
import contextlib
import json
import select
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from botocore.auth import SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.support.certificates import Files
from tests.support.postgres import Postgres
from tests.support.stack import Stack
from tests.support.tidegate import Proxy, wait_until
from tests.support.wire import RawClient, ServerError
from tidegate.auth.rds_token import RdsToken, TokenRefused, check_token, parse_token
from tidegate.demo import processes

SERVER = "orders-proxy"
QUERY = "Action=GetCallerIdentity&Version=2011-06-15"
REFUSED = 'FATAL:  IAM authentication failed for the role "{}"; check the IAM token for this role and try again'

Key = dict[str, str]


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack() as made:
        yield made


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def user_key(stack: Stack) -> Key:
    """Of an IAM user, who may do nothing: GetCallerIdentity needs no leave."""
    iam = stack.client("iam")
    iam.create_user(UserName="fn")
    return dict(iam.create_access_key(UserName="fn")["AccessKey"])


@pytest.fixture(scope="module")
def role_key(stack: Stack) -> Key:
    """A session of a role."""
    trust = {"Effect": "Allow", "Principal": {"AWS": stack.account}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = stack.client("iam").create_role(RoleName="worker", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    iam = stack.client("iam")
    iam.create_user(UserName="assuming")
    allowed = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": role}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_user_policy(UserName="assuming", PolicyName="assume", PolicyDocument=policy)
    own = dict(iam.create_access_key(UserName="assuming")["AccessKey"])
    return dict(stack.client("sts", own).assume_role(RoleArn=role, RoleSessionName="i-1")["Credentials"])


@pytest.fixture(scope="module")
def guarded(postgres: Postgres, stack: Stack, files: Files) -> Iterator[Proxy]:
    """Roles by_user and by_role, who log in at the database with passwords of their own."""
    for name in ("by_user", "by_role"):
        postgres.add_role(name)
    certificate, key = files.certificate("localhost", "127.0.0.1")
    arns = f"arn:aws:iam::{stack.account}"
    with Proxy(
        postgres,
        proxy={"auth_method": "iam", "tls_certificate": certificate, "tls_key": key, "iam_server_id": SERVER},
        users=[
            {"name": "by_user", "password": "by_user", "iam_arns": [f"{arns}:user/fn"]},
            {"name": "by_role", "password": "by_role", "iam_arns": ["arn:aws:iam::1:role/x", f"{arns}:role/work*"]},
        ],
        top={"aws_endpoint_url": stack.url, "aws_region": "us-east-1", "workers": 2},
    ) as proxy:
        yield proxy
    for name in ("by_user", "by_role"):
        postgres.sql(f"DROP ROLE {name}")


def encoded(url: str) -> str:
    return "tidegate-v1." + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


def token(
    stack: Stack, key: Key, server: str | None = SERVER, *, query: str = QUERY, life: int = 60, url: str = ""
) -> str:
    """What a client makes with botocore; `server`: None leaves the header out."""
    request = AWSRequest("GET", f"{url or stack.url}/?{query}")
    if server is not None:
        request.headers["X-Tidegate-Server-Id"] = server
    credentials = Credentials(key["AccessKeyId"], key["SecretAccessKey"], key.get("SessionToken"))
    SigV4QueryAuth(credentials, "sts", "us-east-1", expires=life).add_auth(request)
    return encoded(str(request.url))


def connect(proxy: Proxy, user: str, password: str, sslmode: str = "require") -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(
        host=proxy.host,
        port=proxy.port,
        user=user,
        password=password,
        dbname="postgres",
        sslmode=sslmode,
        autocommit=True,
    )


def refusal(proxy: Proxy, user: str, password: str) -> str:
    """What the log says of a refused client, which is told the same whatever the reason."""
    before = len(proxy.stderr())
    with pytest.raises(psycopg.OperationalError) as caught:
        connect(proxy, user, password)
    assert REFUSED.format(user) in str(caught.value)
    start = f'IAM token for user "{user}" refused: '
    wait_until(lambda: start in proxy.stderr()[before:], "the log says why")
    said = proxy.stderr()[before:]
    assert password[-40:] not in said
    return said.partition(start)[2].partition("\n")[0].strip()


def test_a_user_and_a_role(guarded: Proxy, stack: Stack, user_key: Key, role_key: Key) -> None:
    for user, key in (("by_user", user_key), ("by_role", role_key)):
        with connect(guarded, user, token(stack, key)) as client:
            assert client.execute("SELECT current_user").fetchone() == (user,)


def test_the_command_makes_one(guarded: Proxy, stack: Stack, user_key: Key) -> None:
    """`tidegate token`, with the environment that `tidegate env` prints."""
    variables = {
        **processes.python_environment(),
        "AWS_ACCESS_KEY_ID": user_key["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": user_key["SecretAccessKey"],
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": stack.url,
    }
    command = [sys.executable, "-m", "tidegate", "token", "--server-id", SERVER]
    made = subprocess.run(command, env=variables, capture_output=True, text=True, check=True).stdout.strip()
    with connect(guarded, "by_user", made) as client:
        assert client.execute("SELECT current_user").fetchone() == ("by_user",)


def test_who_is_somebody_else(guarded: Proxy, stack: Stack, user_key: Key, role_key: Key) -> None:
    """A good token, of an ARN that this database user has not been mapped to."""
    said = refusal(guarded, "by_user", token(stack, role_key))
    assert said == f"arn:aws:iam::{stack.account}:role/worker is none of the iam_arns of user by_user"
    said = refusal(guarded, "by_role", token(stack, user_key))
    assert said == f"arn:aws:iam::{stack.account}:user/fn is none of the iam_arns of user by_role"


def test_a_token_for_another_proxy(guarded: Proxy, stack: Stack, user_key: Key) -> None:
    """Its header is signed with another name: STS finds that the signature does not match."""
    assert refusal(guarded, "by_user", token(stack, user_key, "another")) == "STS refuses it with status 403"
    unsigned = token(stack, user_key, None)
    assert refusal(guarded, "by_user", unsigned) == "the token's header x-tidegate-server-id is not signed"


def test_other_requests(guarded: Proxy, stack: Stack, user_key: Key) -> None:
    """Signed as well as can be, and not what lets anybody in."""
    for query in ("Action=GetSessionToken&Version=2011-06-15", "Action=GetCallerIdentity&Version=2010-05-08"):
        assert refusal(guarded, "by_user", token(stack, user_key, query=query)) == (
            "the token is not of sts:GetCallerIdentity"
        )
    more = token(stack, user_key, query=QUERY + "&DurationSeconds=900")
    assert refusal(guarded, "by_user", more) == "the token's URL has parameters that do not belong there"


def test_no_other_host_is_asked(guarded: Proxy, stack: Stack, user_key: Key) -> None:
    """One who would vouch for anybody."""
    with socket.create_server(("127.0.0.1", 0)) as eager:
        eager.settimeout(0)
        url = f"http://127.0.0.1:{eager.getsockname()[1]}"
        assert refusal(guarded, "by_user", token(stack, user_key, url=url)) == "the token's URL is not STS's"
        with pytest.raises(BlockingIOError):
            eager.accept()
    aws = token(stack, user_key, url="https://sts.amazonaws.com")
    assert refusal(guarded, "by_user", aws) == "the token's URL is not STS's"


def test_time(guarded: Proxy, stack: Stack, user_key: Key) -> None:
    short = token(stack, user_key, life=1)
    made = time.time()
    wait_until(lambda: time.time() > made + 2, "it has expired")
    assert refusal(guarded, "by_user", short) == "the token has expired"
    assert refusal(guarded, "by_user", token(stack, user_key, life=3600)) == (
        "the token must be good for 900 seconds at most"
    )


def test_rubbish(guarded: Proxy) -> None:
    """Refused in words of the proxy's own: nothing of it is repeated in the log, and no traceback."""
    for text in ("nonsense", "tidegate-v1.*", encoded("https://[x"), encoded("https://sts.amazonaws.com/?a=b&canary")):
        said = refusal(guarded, "by_user", text)
        assert "error" not in said
    assert "Traceback" not in guarded.stderr()
    assert "canary" not in guarded.stderr()


def test_a_wrong_key(guarded: Proxy, stack: Stack, user_key: Key) -> None:
    wrong = {**user_key, "SecretAccessKey": "x" * 40}
    assert refusal(guarded, "by_user", token(stack, wrong)) == "STS refuses it with status 403"
    unknown = {**user_key, "AccessKeyId": "AKIAUNKNOWNUNKNOWN22"}
    assert refusal(guarded, "by_user", token(stack, unknown)) == "STS refuses it with status 403"


def test_who_is_not_listed(guarded: Proxy, stack: Stack, user_key: Key) -> None:
    with pytest.raises(psycopg.OperationalError, match="authentication failed"):
        connect(guarded, "postgres", token(stack, user_key))


def test_without_tls_no_token_is_asked_for(guarded: Proxy, stack: Stack, user_key: Key) -> None:
    with RawClient(guarded.host, guarded.port) as client, pytest.raises(ServerError) as caught:
        client.login("by_user", token(stack, user_key), "postgres")
    assert caught.value.sqlstate == "28000"
    assert "IAM authentication is allowed only with TLS connections" in str(caught.value)


def test_a_verified_token_is_remembered(guarded: Proxy, stack: Stack, user_key: Key) -> None:
    """Until it expires: STS is asked once for all of a function's connections, so its end is not theirs."""
    iam = stack.client("iam")
    key = dict(iam.create_access_key(UserName="fn")["AccessKey"])
    good = token(stack, key)
    connect(guarded, "by_user", good).close()
    iam.delete_access_key(UserName="fn", AccessKeyId=key["AccessKeyId"])
    for _ in range(4):
        connect(guarded, "by_user", good).close()
    assert refusal(guarded, "by_user", token(stack, key, life=61)) == "STS refuses it with status 403"


def test_clients_that_leave_while_they_are_judged(guarded: Proxy, stack: Stack, user_key: Key) -> None:
    """The verdict finds nobody; others are served."""
    workers = guarded.workers()
    for number in range(20):
        raw = socket.create_connection((guarded.host, guarded.port))
        raw.sendall(struct.pack("!ii", 8, 80877103))
        assert raw.recv(1) == b"S"
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(raw) as secured:
            secured.sendall(startup("by_user"))
            assert secured.recv(9) == struct.pack("!cii", b"R", 8, 3)
            secured.sendall(password_message(token(stack, user_key, life=100 + number)))
    with connect(guarded, "by_user", token(stack, user_key)) as client:
        assert client.execute("SELECT 1").fetchone() == (1,)
    assert guarded.workers() == workers
    assert "Traceback" not in guarded.stderr()


def startup(user: str) -> bytes:
    body = struct.pack("!i", 196608) + f"user\0{user}\0database\0postgres\0\0".encode()
    return struct.pack("!i", len(body) + 4) + body


def password_message(text: str) -> bytes:
    return struct.pack("!ci", b"p", len(text) + 5) + text.encode() + b"\0"


# To the database


ACCESS, SECRET, REGION = "AKIAEXAMPLEEXAMPLE22", "canary-5up3rs3cr3t-of-the-proxy-itself", "eu-west-1"


class RdsLike:
    """What stands before a database of RDS: TLS, a password in clear that must be a good token; then it is PostgreSQL.

    No PostgreSQL verifies tokens, so this does, and hands what follows to one that trusts it.
    """

    def __init__(self, postgres: Postgres, files: Files) -> None:
        self.tokens: list[tuple[float, RdsToken]] = []
        self.refusals: list[str] = []
        self.secret = SECRET
        self._postgres = postgres
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(*files.certificate("127.0.0.1"))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection:
            if _exactly(connection, 8) != struct.pack("!ii", 8, 80877103):
                self.refusals.append("not encrypted")
                return
            connection.sendall(b"S")
            with self._context.wrap_socket(connection, server_side=True) as secured:
                size = _exactly(secured, 4)
                first = size + _exactly(secured, struct.unpack("!i", size)[0] - 4)
                if first[4:8] != struct.pack("!i", 80877102):  # a CancelRequest brings no token
                    self._login(secured, first)
                with socket.create_connection((self._postgres.host, self._postgres.port)) as database:
                    database.sendall(first)
                    _join(secured, database)

    def _login(self, secured: ssl.SSLSocket, first: bytes) -> None:
        fields = first[8:].split(b"\0")
        user = fields[fields.index(b"user") + 1].decode()
        secured.sendall(struct.pack("!cii", b"R", 8, 3))
        kind, size = struct.unpack("!ci", _exactly(secured, 5))
        if kind != b"p":
            raise OSError("it has no token to show")
        try:
            token = parse_token(_exactly(secured, size - 4)[:-1].decode())
            check_token(
                token, self.secret, hosts=["127.0.0.1"], port=self.port, user=user, region=REGION, now=time.time()
            )
        except (ValueError, TokenRefused) as error:
            self.refusals.append(str(error))
            text = f'SFATAL\0C28P01\0MPAM authentication failed for user "{user}"\0\0'.encode()
            secured.sendall(struct.pack("!ci", b"E", len(text) + 4) + text)
            raise OSError("refused") from None
        self.tokens.append((time.time(), token))


def _exactly(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        more = connection.recv(size - len(found))
        if not more:
            raise OSError("closed")
        found += more
    return found


def _join(secured: ssl.SSLSocket, database: socket.socket) -> None:
    """Bytes both ways, until one side closes."""
    other: dict[socket.socket, socket.socket] = {secured: database, database: secured}
    while True:
        readable = [secured] if secured.pending() else select.select([secured, database], [], [])[0]
        for one in readable:
            data = one.recv(65536)
            if not data:
                return
            other[one].sendall(data)


@pytest.fixture(scope="module")
def trusting() -> Iterator[Postgres]:
    """A PostgreSQL behind the one that verifies."""
    with Postgres(hba=("local all all trust", "host all all 127.0.0.1/32 trust")) as server:
        server.start()
        server.add_role("app")
        server.add_role("other")
        yield server


@pytest.fixture
def rds(trusting: Postgres, files: Files) -> Iterator[RdsLike]:
    made = RdsLike(trusting, files)
    yield made
    made.close()


KEYS = {"AWS_ACCESS_KEY_ID": ACCESS, "AWS_SECRET_ACCESS_KEY": SECRET}


def before(rds: RdsLike, trusting: Postgres, files: Files, *users: dict[str, Any], **settings: Any) -> Proxy:
    target = {
        "host": "127.0.0.1",
        "port": rds.port,
        "password": "",
        "database_iam": True,
        "sslmode": "verify-full",
        "tls_ca": files.ca,
        "max_connections": 3,
        **settings.pop("target", {}),
    }
    top = {"aws_region": REGION, **settings.pop("top", {})}
    return Proxy(trusting, target=target, users=users, top=top, environment=KEYS, **settings)


APP = {"name": "app", "auth_method": "trust", "database_iam": True}
OTHER = {"name": "other", "auth_method": "trust", "database_iam": True}


def answer(proxy: Proxy, user: str) -> object:
    with psycopg.connect(proxy.dsn(user, "postgres"), autocommit=True) as client:
        row = client.execute("SELECT current_user").fetchone()
        return row and row[0]


def end_servers(postgres: Postgres) -> None:
    """All of the proxy's."""
    postgres.sql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename IN ('app', 'other')")


def test_every_new_connection_brings_a_fresh_token(rds: RdsLike, trusting: Postgres, files: Files) -> None:
    with before(rds, trusting, files, APP, OTHER) as proxy:
        for turn in range(3):
            known = len(rds.tokens)
            assert answer(proxy, "app") == "app"
            assert answer(proxy, "other") == "other"
            users = {token.user for _, token in rds.tokens[known:]}
            assert users >= {"app", "other"}, f"turn {turn}"
            end_servers(trusting)
            last = max(token.signed_at for _, token in rds.tokens)
            wait_until(lambda last=last: time.time() >= last + 1, "tokens of another second")  # type: ignore[misc]
        signatures = [token.signature for _, token in rds.tokens if token.user == "app"]
        assert len(set(signatures)) == len(signatures)
        for came, token in rds.tokens:
            assert 0 <= came - token.signed_at < 5, "signed when it was needed"
            assert token.expires == 900
        assert rds.refusals == []
        assert SECRET not in proxy.stderr()
        assert not any(token.signature in proxy.stderr() for _, token in rds.tokens)


def test_the_proxys_own_login_brings_one_too(rds: RdsLike, trusting: Postgres, files: Files) -> None:
    """It looks roles up for clients that pass through; what comes of those, without a token of theirs, is not said."""
    with before(rds, trusting, files) as proxy:
        with contextlib.suppress(psycopg.Error):
            answer(proxy, "app")
        assert "postgres" in {token.user for _, token in rds.tokens}


def test_tokens_that_the_database_refuses(rds: RdsLike, trusting: Postgres, files: Files) -> None:
    """Clients are told, in time; when the database takes tokens again, so does the proxy, without a restart."""
    rds.secret = "another"
    with before(rds, trusting, files, APP) as proxy:
        began = time.monotonic()
        with pytest.raises(psycopg.OperationalError, match='PAM authentication failed for user "app"'):
            answer(proxy, "app")
        assert time.monotonic() - began < 10
        assert set(rds.refusals) == {"the token's signature does not match"}
        rds.secret = SECRET
        assert answer(proxy, "app") == "app"


def test_a_proxy_without_keys(rds: RdsLike, trusting: Postgres, files: Files) -> None:
    """It starts, and says what is missing."""
    nowhere = {"AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent"}
    proxy = before(rds, trusting, files, APP)
    proxy._program.environment |= {"AWS_EC2_METADATA_DISABLED": "true", **nowhere}
    for name in KEYS:
        del proxy._program.environment[name]
    with proxy:
        with pytest.raises(psycopg.OperationalError):
            answer(proxy, "app")
        assert "no AWS credentials are to be found; see aws_profile" in proxy.stderr()
        assert rds.tokens == []


def test_tokens_on_both_sides(rds: RdsLike, trusting: Postgres, files: Files, stack: Stack, user_key: Key) -> None:
    """No password anywhere: the client's token is STS's affair, the proxy's own the database's."""
    certificate, key = files.certificate("localhost", "127.0.0.1")
    user = {
        "name": "app",
        "auth_method": "iam",
        "database_iam": True,
        "iam_arns": [f"arn:aws:iam::{stack.account}:user/fn"],
    }
    guard = {"tls_certificate": certificate, "tls_key": key, "iam_server_id": SERVER}
    with before(rds, trusting, files, user, proxy=guard, top={"aws_endpoint_url": stack.url}) as proxy:
        with connect(proxy, "app", token(stack, user_key)) as client:
            assert client.execute("SELECT current_user").fetchone() == ("app",)
        assert {one.user for _, one in rds.tokens} >= {"app"}
        assert refusal(proxy, "app", token(stack, user_key, "another")) == "STS refuses it with status 403"
