"""Making inputs out of nothing: conversations that are mostly what clients and databases say.

Owns the grammar of such conversations. Refuses bytes at random: `mutation` makes these out of what comes from here.
"""

from __future__ import annotations

from itertools import pairwise
from random import Random

from fuzz.database import data_row, row_description
from fuzz.steps import Do, Step
from tests.support import messages as m

USERS = ("plain", "scram", "md5", "trusting", "nobody")
DATABASES = ("app", "session", "missing")
NAMES = ("", "", "s1", "s2")
TEXTS = (
    "SELECT 1", "SELECT @{0}@", "SELECT 'ROWS @{0}@'", "BEGIN", "COMMIT", "ROLLBACK", "BEGIN; SELECT @{0}@",
    "FAIL @{0}@", "BEGIN; FAIL",
    "SELECT BIG @{0}@", "NOTICE @{0}@", "COPY t FROM STDIN", "COPY t TO STDOUT", "", ";", "FAIL PARSE",
    "SET application_name = c{0}", "SET search_path TO 'a{0}, b'", "SET app.tenant TO 'c{0}'", "RESET application_name",
    "RESET ALL", "SET statement_timeout = 5", "SET statement_timeout TO DEFAULT", "DISCARD ALL", "DEALLOCATE ALL",
    "DEALLOCATE s1", "SET app.a TO '1'; SELECT @{0}@", "SELECT set_config('app.b', 'c{0}', false)", "LISTEN c{0}",
    "SELECT pg_advisory_lock({0})", "CREATE TEMP TABLE t()", "COPY t FROM STDIN; SELECT @{0}@", "FATAL",
    "SET idle_session_timeout = 1", "SET standard_conforming_strings = off", "SELECT E'\\\\' @{0}@", "SET x TO",
)  # fmt: skip
VALUES = (b"", b"x", b"off", b"\xff\xfe", b"a" * 300, b"UTF8", b"-c a=b")
NUMBERS = (
    b"100",
    b"3",
    b"0",
    b"",
    b"-1",
    b"x",
    b"9" * 30,
    b"2147483648",
    None,
    b"idle_session_timeout=1min",
    b"a=1e999",
)
AUTHENTICATIONS = (
    bytes(4), bytes(4), bytes(4), b"\0\0\0\3", b"\0\0\0\5salt", b"\0\0\0\5", b"\0\0\0\x0aSCRAM-SHA-256\0\0",
    b"\0\0\0\x0bx", b"\0\0\0\x0cv=x", b"",
)  # fmt: skip


def start_up(random: Random, who: int) -> bytes:
    """A StartupMessage, perhaps with something before it."""
    parameters = {"user": random.choice(USERS), "database": random.choice(DATABASES)}
    for name in random.sample(
        ("application_name", "client_encoding", "options", "replication", "_pq_.x", "a\udcff"), 2
    ):
        if random.random() < 0.3:
            parameters[name] = random.choice(VALUES).decode("utf-8", "surrogateescape")
    code = random.choice((0x30000, 0x30000, 0x30002, 0x3270F, 0x20000, 0x30001))
    before = b""
    while random.random() < 0.2:
        before += (8).to_bytes(4, "big") + random.choice((80877103, 80877104)).to_bytes(4, "big")
    if random.random() < 0.05:
        return before + m.cancel_request(random.randrange(8), random.randbytes(4))
    body = code.to_bytes(4, "big")
    for name, value in parameters.items():
        body += f"{name}\0{value}\0".encode("utf-8", "surrogateescape")
    return before + (len(body) + 5).to_bytes(4, "big") + body + b"\0"


def answer(random: Random) -> bytes:
    """Something like an answer to an authentication request."""
    first = b"n,,n=,r=" + random.choice((b"rOprNGfwEbeRWgbNEkqO", b"", b"a" * 200))
    return random.choice(
        (
            m.password("secret"),
            m.password(""),
            m.password("md5" + "0" * 32),
            m.message("p", b"SCRAM-SHA-256\0" + len(first).to_bytes(4, "big") + first),
            m.message("p", b"c=biws,r=x,p=" + b"A" * 43 + b"="),
        )
    )


def request(random: Random, who: int) -> bytes:
    """One request of a logged-in client, or a batch."""
    text = random.choice(TEXTS).format(who)
    name = random.choice(NAMES)
    kind = random.randrange(12)
    if kind < 4:
        return m.query(text) + (copy_data(random) if "STDIN" in text else b"")
    if kind < 8:
        return batch(random, text, name)
    return random.choice(
        (
            m.sync(),
            m.flush(),
            m.parse(text, name),
            m.bind(name),
            m.describe_statement(name),
            m.describe_portal(""),
            m.execute("", random.randrange(2)),
            m.close_statement(name),
            m.close_portal(""),
            copy_data(random),
            m.function_call(1, []),
            m.message("S", b"padded"),
            m.query("SELECT '" + "y" * size(random, 100, 70_000, 1_100_000) + "'"),
            m.terminate() if random.random() < 0.2 else m.sync(),
        )
    )


def batch(random: Random, text: str, name: str) -> bytes:
    """Parse to Sync, with something missing now and then."""
    parts = [m.parse(text, name), m.bind(name), m.describe_portal(""), m.execute("", random.randrange(2)), m.sync()]
    parts = [part for part in parts if random.random() < 0.93]
    if "STDIN" in text:
        parts.append(copy_data(random))
    return b"".join(parts) * random.choice((1, 1, 1, 2, 9))


def copy_data(random: Random) -> bytes:
    """COPY data, and usually its end."""
    rows = m.copy_data(b"1\t2\n" * size(random, 1, 100, 30_000))
    return rows + random.choice((m.copy_done(), m.copy_done() + m.sync(), m.copy_fail("no") + m.sync(), b""))


def reply(random: Random) -> bytes:
    """One message that a database may send, whatever was asked."""
    text = random.choice(VALUES)
    return random.choice(
        (
            m.message("Z", random.choice((b"I", b"T", b"E", b"?", b"", b"II"))),
            m.message("C", text + b"\0"),
            m.message("E", b"SERROR\0VERROR\0C22012\0M" + text + b"\0\0"),
            m.message("E", b"SFATAL\0VFATAL\0C57P01\0M\0\0"),
            m.message("E", b"S\xff\0C\xff\0M\xff\0\0"),
            m.message("N", b"SNOTICE\0VNOTICE\0C00000\0M" + text + b"\0\0"),
            m.message("S", random.choice((b"application_name", b"\xff", b"")) + b"\0" + text + b"\0"),
            m.message("A", bytes(4) + text + b"\0\0"),
            data_row([text, None]),
            row_description(random.randrange(3)),
            *(m.message(kind) for kind in "123nscIW"),
            m.message("t", b"\0\0"),
            m.message("G", b"\0\0\0"),
            m.message("H", b"\0\0\0"),
            m.message("d", text),
            m.message("V", b"\xff" * 4),
            m.message("K", bytes(8)),
            m.message("v", bytes(8)),
            m.message(
                "R",
                random.choice((0, 3, 5, 10, 11, 12, 99)).to_bytes(4, "big")
                + random.choice((b"", b"SCRAM-SHA-256\0\0")),
            ),
            m.message(random.choice("dDE"), b"M" + b"z" * size(random, 100, 70_000, 1_200_000)),
        )
    )


def size(random: Random, usual: int, long: int, rare: int) -> int:
    """How many of something: what is long is seldom, since it takes time."""
    return random.choices((usual, long, rare), (90, 9, 1))[0]


def login_steps(random: Random) -> list[Step]:
    """Clients that come in, each its own way."""
    steps = []
    for who in random.choices(range(4), k=random.randrange(1, 4)):
        steps += pieces(random, who, start_up(random, who))
        steps += [Step(Do.SEND, who, answer(random)) for _ in range(random.randrange(3))]
        if random.random() < 0.5:
            steps.append(Step(Do.SEND, who, request(random, who)))
        if random.random() < 0.2:
            steps.append(Step(Do.LEAVE, who, bytes(random.randrange(2))))
    return steps


def request_steps(random: Random) -> list[Step]:
    """Requests of logged-in clients; some leave, or stop reading, in the middle."""
    steps: list[Step] = []
    for _ in range(random.randrange(1, 12)):
        who = random.randrange(4) if random.random() < 0.5 else 0
        steps += pieces(random, who, request(random, who))
        if random.random() < 0.1:
            steps.append(Step(random.choice((Do.LEAVE, Do.DEAFEN, Do.MUTE)), who, bytes(random.randrange(2))))
    return steps


def reply_steps(random: Random) -> list[Step]:
    """Requests, and a database that says what it likes in between."""
    steps: list[Step] = []
    if random.random() < 0.8:
        steps.append(Step(Do.MUTE, 0))
    for _ in range(random.randrange(1, 8)):
        steps += pieces(random, random.randrange(3), request(random, 0))
        said = b"".join(reply(random) for _ in range(random.randrange(4)))
        steps += [step._replace(do=Do.REPLY) for step in pieces(random, random.randrange(2), said)]
        if random.random() < 0.1:
            steps.append(Step(Do.HANG_UP, random.randrange(2)))
    return steps


def opening_steps(random: Random) -> list[Step]:
    """A client that is let in, and a database that says what it likes at the start."""
    steps = [Step(Do.MUTE), Step(Do.SEND, 0, m.startup({"user": "trusting", "database": "app"}))]
    about = row_description(5) + data_row([random.choice(NUMBERS) for _ in range(random.choice((5, 5, 5, 3, 0)))])
    script = [
        m.message("R", random.choice(AUTHENTICATIONS)),
        m.message("S", b"client_encoding\0UTF8\0") + m.message("K", random.choice((bytes(8), b"", bytes(300)))),
        m.message("Z", b"I"),
        about + m.message("C", b"SELECT 1\0") + m.message("Z", b"I"),
    ]
    script = [said for said in script if random.random() < 0.9]
    for _ in range(random.randrange(3)):
        script.insert(random.randrange(len(script) + 1), reply(random))
    for said in script:
        steps += [step._replace(do=Do.REPLY) for step in pieces(random, 0, said)]
    return [*steps, Step(Do.SEND, 0, request(random, 0))]


def pieces(random: Random, who: int, data: bytes) -> list[Step]:
    """The same bytes in one or several packets, of which some arrive together."""
    cuts = sorted(random.randrange(len(data) + 1) for _ in range(random.choice((0, 0, 0, 1, 2, 5))))
    edges = [0, *cuts, len(data)]
    return [Step(Do.SEND, who, data[start:end], random.random() < 0.3) for start, end in pairwise(edges)]
