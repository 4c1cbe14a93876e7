"""Targets without a world: functions that read bytes and return or refuse.

Owns the inputs and the expectations of these. Refuses sessions: `world` has them.
"""

from __future__ import annotations

from contextlib import suppress
from random import Random

from fuzz import dialogue
from fuzz.world import Finding
from tidegate.auth.backend import BackendLogin, PasswordCredential
from tidegate.auth.scram import ScramClient, ScramServer
from tidegate.auth.scram_errors import ScramFailure, ScramMalformed
from tidegate.auth.scram_keys import ScramKeys
from tidegate.errors import PgError
from tidegate.proxy.opening import ServerLogin
from tidegate.session.bodies import Body, read_body
from tidegate.session.facts import Facts, ScanFlag
from tidegate.session.names import Effect, NameSet
from tidegate.session.pins import PinReason
from tidegate.session.scanner import Scanner, scan_text
from tidegate.wire.postgres import messages, options, startup

NAMES = NameSet({b"enter": Effect(("app.tenant",))}, {b"@>@": Effect(flags=ScanFlag.MAKES_CODE)})
KEYS = ScramKeys.from_password("secret", b"0123456789abcdef", 1)
NONCE = b"A" * 24
SQL_PARTS = (
    "SELECT ", "SET ", "LOCAL ", "SESSION ", "search_path ", "TO ", "= ", "DEFAULT", "'a''b'", "E'\\'", "U&'\\0041'",
    "$$", "$tag$",
    "/*", "*/", "--\n", "\n", ";", '"q""q"', 'U&"\\0061"', "set_config(", "'app.x'", ",", ")", "DISCARD ALL",
    "EXECUTE x(", "EXPLAIN ", "AS ", "DEALLOCATE ", "ALL", "PREPARE x AS ", "CREATE ", "TEMP ", "TABLE t", "RESET ",
    "ROLE ", "pg_temp.", "LISTEN x",
    "pg_advisory_lock(1)", "DECLARE c CURSOR WITH HOLD FOR ", "DO ", "TIME ZONE ", "INTERVAL '1' HOUR", "N'x'", "B'1'",
    "enter(", "@>@", "THEN ", "BEGIN ", "LOOP ", "EXECUTE ", "<<a>> ", "CREATE FUNCTION f() AS ",
    "1e10", "$1", "::text", "\\", "'", '"', "é", "COPY t FROM STDIN", "BEGIN;", "COMMIT", "UPDATE pg_settings ",
)  # fmt: skip


def made_sql(random: Random) -> bytes:
    """The first byte says how the text is cut, the second in which session it is read."""
    parts = random.choices(SQL_PARTS, k=random.randrange(1, 12))
    return random.randbytes(2) + "".join(parts).encode()


def try_sql(data: bytes) -> set[object]:
    """A text means the same whole and in pieces, and in the first way it is read it means something."""
    cut, session, text = data[0] if data else 0, data[1] if len(data) > 1 else 0, data[2:]
    scs_on, trail = bool(session & 1), (session >> 1) % 3
    whole = scan_text(text, scs_on, trail)
    scanner = Scanner(scs_on, trail)
    size = cut % 7 + 1
    for start in range(0, len(text), size):
        scanner.push(text[start : start + size])
    pieces = scanner.facts()
    if described(whole) != described(pieces):
        raise Finding(f"{text!r} in pieces of {size}: {described(pieces)}, but {described(whole)} as a whole")
    named = scan_text(text, scs_on, trail, NAMES)
    body = read_body(text)
    if whole.flags & ~named.flags or not set(whole.touched) <= {*named.touched}:
        raise Finding(f"{text!r} with names: {described(named)}, but {described(whole)} without")
    if session < 2 and (not set(whole.touched) <= {*body.touched} or (whole.pin is not None and not says(body, whole))):
        raise Finding(f"{text!r} as a body: {body.touched}, {body.reasons}, but {described(whole)} by itself")
    return {described(whole)[0], len(text).bit_length(), bool(body.reasons)}


def says(body: Body, facts: Facts) -> bool:
    """Whether a body's reasons have the one that its text has by itself; CALL is left to the procedure's name."""
    return facts.pin is PinReason.CALL or facts.pin in body.reasons


def described(facts: Facts) -> tuple[object, ...]:
    """All of it, comparable."""
    return tuple(str(getattr(facts, name)) for name in sorted(dir(facts)) if not name.startswith("_"))


def made_scram(random: Random) -> bytes:
    """Messages of an exchange, one a line."""
    first = b"n,,n=user,r=" + random.choice((b"rOprNGfwEbeRWgbNEkqO", b"", b"x" * 300))
    final = b"c=biws,r=" + b"rOprNGfwEbeRWgbNEkqO" + NONCE + b",p=" + b"A" * 43 + b"="
    challenge = (
        b"r=" + NONCE + b"x,s=MDEyMzQ1Njc4OWFiY2RlZg==,i=" + random.choice((b"1", b"4096", b"0", b"-1", b"9" * 20))
    )
    outcome = random.choice((b"v=" + b"A" * 43 + b"=", b"e=invalid-proof"))
    return b"\n".join((first, final, challenge, outcome, KEYS.text().encode()))


def try_scram(data: bytes) -> set[object]:
    """Whatever either side hears, it answers or refuses."""
    first, final, challenge, outcome, verifier = (data.split(b"\n", 4) + [b""] * 5)[:5]
    found: set[object] = set()
    server = ScramServer(KEYS, NONCE)
    try:
        found.add(server.first(first)[:2])
        server.final(final)
        raise Finding("a proof was made without the password")
    except (ScramMalformed, ScramFailure) as error:
        found.add(str(error))
    if b"i=4096" in challenge or b"i=" not in challenge or len(challenge.partition(b"i=")[2]) < 5:
        client = ScramClient("secret", nonce=NONCE)
        client.first()
        try:
            found.add(client.final(challenge)[:2])
            client.verify(outcome)
            raise Finding("a server was believed that does not know the password")
        except (ScramMalformed, ScramFailure) as error:
            found.add(str(error))
    with suppress(ValueError):
        found.add(ScramKeys.parse(verifier.decode("latin-1")).iterations)
    return found


def made_message(random: Random) -> bytes:
    """A start-up packet, an answer, a reply: the first byte says nothing."""
    made = random.choice((dialogue.start_up(random, 0), dialogue.reply(random), dialogue.request(random, 0)))
    return made[random.choice((0, 4, 5)) :][:5000]


def try_message(data: bytes) -> set[object]:
    """Each reader returns something of its kind, or raises ValueError (a login also PgError)."""
    found: set[object] = set()
    for reader in (
        startup.parse_startup,
        messages.parse_error,
        messages.parse_data_row,
        messages.row_shape,
        messages.parse_parameter_status,
    ):
        with suppress(ValueError):
            found.add((reader.__name__, type(reader(data)).__name__))
    settings, others = options.parse_options(data)
    found.add((len(settings).bit_length(), len(others).bit_length()))
    with suppress(ValueError):
        messages.error_response(messages.parse_error(data))
    for login in (ServerLogin("user", PasswordCredential("secret"), {}), ServerLogin("user", None, {})):
        login.begin()
        with suppress(ValueError, PgError):
            login.feed(ord("R"), data)
    backend = BackendLogin("user", PasswordCredential("secret"))
    with suppress(ValueError, PgError):
        backend.feed(int.from_bytes(data[:1], "big"), data[1:])
    return found
