"""A client's way in: start-up packet, authentication, start-up parameters, greeting.

Owns the order of these steps (PostgreSQL documentation, "Start-up"). Refuses to read roles (`rolereader`), to choose a
pool (`gate`), to judge passwords (`auth`), and to touch sockets: the client hands it bytes.

    step               what comes next                      and where it leads
    AWAITS_STARTUP     SSLRequest, a TLS handshake          SECURING, or "N" and again where there is no certificate
                       GSSENCRequest                        "N", and again
                       CancelRequest                        ADMITTED; the gate deals with it and closes
                       StartupMessage                       READING_ROLE
    SECURING           nothing is read; `secured`           AWAITS_STARTUP
    READING_ROLE       nothing is read; `role_found`        AWAITS_SASL_FIRST, AWAITS_PASSWORD, ADMITTED (trust, cert),
                                                            or what follows a proof that is judged again
    AWAITS_SASL_FIRST  SASLInitialResponse                  AWAITS_SASL_FINAL
    AWAITS_SASL_FINAL  SASLResponse                         ADMITTED, or READING_ROLE once more, or the end
    AWAITS_PASSWORD    PasswordMessage                      likewise; READING_ROLE with an IAM token, until it is judged
    ADMITTED           nothing is read; `gate` greets, or   the client is relayed
                       a server is asked first: `server_lent`, `validated`
"""

from cpython.bytes cimport PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcmp

from tidegate.auth.scram cimport ScramServer
from tidegate.auth.scram_keys cimport ScramKeys
from tidegate.engine.tls cimport TlsStream
from tidegate.proxy.borrowing cimport Borrowing
from tidegate.proxy.gate cimport Gate
from tidegate.wire.postgres.integers cimport get32, put32, string_end
from tidegate.wire.postgres.startup cimport CANCEL, ENCRYPTION, LARGEST_STARTUP, Startup, read_startup
from tidegate.auth.backend import PasswordCredential, ScramCredential
from tidegate.auth.roles import denial, wrong_password
from tidegate.auth.scram_errors import ScramDowngraded, ScramFailure, ScramMalformed, ScramUnsupported
from tidegate.auth.verifiers import ClientMethod, Md5Hash, Plain, asked_method
from tidegate.errors import CloseReason, PgError, Sqlstate
from tidegate.proxy.iam_logins import iam_refused
from tidegate.proxy.passwords import PasswordQuestion
from tidegate.session.pins import PinReason
from tidegate.wire.postgres.messages import AUTHENTICATION_OK, authentication, negotiate_protocol_version
from tidegate.wire.postgres.options import parse_options
from tidegate.wire.postgres.startup import NEWEST_MINOR, UnsupportedProtocol

cdef enum:
    LARGEST_PASSWORD = 65536  # bytes; PostgreSQL's own limit
    MECHANISM_SIZE = 13
    PLUS_SIZE = 18
    HANDSHAKE = 0x16  # the first byte of a TLS connection (RFC 8446, section 5.1)
    SASL_CONTINUE = 11
    SASL_FINAL = 12

cdef const char* MECHANISM = b"SCRAM-SHA-256"
cdef const char* MECHANISM_PLUS = b"SCRAM-SHA-256-PLUS"
cdef bytes ASK_FOR_SCRAM = authentication(10, b"SCRAM-SHA-256\0\0")
cdef bytes ASK_FOR_EITHER = authentication(10, b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0")
cdef bytes ADMISSION = AUTHENTICATION_OK
cdef object SCRAM = ClientMethod.SCRAM
cdef object TRUST = ClientMethod.TRUST
cdef object CERT = ClientMethod.CERT
cdef object IAM = ClientMethod.IAM
cdef frozenset NOT_SETTINGS = frozenset((b"user", b"database", b"options", b"replication"))
cdef frozenset NO_REPLICATION = frozenset((b"0", b"off", b"false", b"no"))
cdef str CANNOT_CHANGE_NOW = "55P02"


cdef class ClientLogin:
    """One client's login; gone when the greeting is sent."""

    def __cinit__(self):
        self.user = self.database = ""
        self.replication = b""
        self.encryption_asked = ()
        self.end_point = b""

    def __init__(self, Gate gate, Borrowing client, double arrived):
        self.gate = gate
        self.client = client
        self.arrived = arrived

    cdef Py_ssize_t take(self, const char* data, Py_ssize_t size) except -1:
        """Deal with whole packets at the start of `data`; returns the bytes used. Raises PgError."""
        cdef Py_ssize_t used = 0, packet
        while (self.client.login is self and self.step != READING_ROLE and self.step != ADMITTED
               and self.step != SECURING):
            if self.step == AWAITS_STARTUP:
                packet = self.startup_packet(data + used, size - used)
            else:
                packet = self.password_packet(data + used, size - used)
            if packet == 0:
                break
            used += packet
        return used

    # --- packets ---------------------------------------------------------------------------------------------------

    cdef Py_ssize_t startup_packet(self, const char* data, Py_ssize_t size) except -1:
        """The first packet, if all of it is there; returns its size or 0."""
        cdef Py_ssize_t length
        cdef Startup packet
        if size and data[0] == HANDSHAKE and not self.encrypted and (<Gate>self.gate).tls is not None and (
                not self.encryption_asked):
            self.direct = True
            self.begin_tls(data, size)
            return size
        if size < 4:
            return 0
        length = get32(data)
        if not 8 <= length <= LARGEST_STARTUP:
            raise violation("invalid length of startup packet")
        if size < length:
            return 0
        try:
            packet = read_startup(data + 4, length - 4)
        except UnsupportedProtocol as error:
            raise unsupported(str(error)) from None
        except ValueError as error:
            raise violation(str(error)) from None
        if packet.opening == ENCRYPTION:
            self.encryption_request(packet.asks_for_tls, PyBytes_FromStringAndSize(data + 4, 4), size - length)
        elif packet.opening == CANCEL:
            self.step = ADMITTED
            self.gate.cancel(self.client, packet.cancel_pid, packet.cancel_key)
        else:
            self.start(packet)
        return length

    cdef Py_ssize_t password_packet(self, const char* data, Py_ssize_t size) except -1:
        """An answer to an Authentication message, if all of it is there; returns its size or 0."""
        cdef Py_ssize_t length
        if size < 5:
            return 0
        if data[0] != b'p':
            raise violation(f"expected password response, got message type {<unsigned char>data[0]}")
        length = get32(data + 1)
        if not 4 <= length <= LARGEST_PASSWORD:
            raise violation("invalid length of password packet")
        if size < length + 1:
            return 0
        if self.step == AWAITS_SASL_FIRST:
            self.sasl_first(data + 5, length - 4)
        elif self.step == AWAITS_SASL_FINAL:
            self.sasl_final(PyBytes_FromStringAndSize(data + 5, length - 4))
        else:
            self.password(PyBytes_FromStringAndSize(data + 5, length - 4))
        return length + 1

    cdef int encryption_request(self, bint for_tls, bytes code, Py_ssize_t behind) except -1:
        """`behind`: bytes that came with it."""
        if code in self.encryption_asked or self.encrypted:
            # As with PostgreSQL: what is no start-up packet by now is taken for one of a foreign version.
            raise unsupported(f"{int.from_bytes(code[:2], 'big')}.{int.from_bytes(code[2:], 'big')}")
        self.encryption_asked += (code,)
        if not for_tls or (<Gate>self.gate).tls is None:
            self.client.send_bytes(b"N")
            return 0
        if behind:
            # Who has sent that, and to be taken for whose word? (CVE-2021-23214)
            raise PgError(
                "received unencrypted data after SSL request", Sqlstate.PROTOCOL_VIOLATION, "FATAL",
                "This could be either a client-software bug or evidence of an attempted man-in-the-middle attack.")
        self.client.send_bytes(b"S")
        return self.begin_tls(NULL, 0)

    cdef int begin_tls(self, const char* early, Py_ssize_t size) except -1:
        self.step = SECURING
        return self.client.begin_tls((<Gate>self.gate).tls, early, size)

    cdef int secured(self, TlsStream stream) except -1:
        """The handshake is over. Raises PgError."""
        self.step = AWAITS_STARTUP
        self.encrypted = True
        self.end_point = stream.tls.end_point
        if self.direct and not stream.protocol:
            raise violation("received direct SSL connection request without ALPN protocol negotiation extension")
        self.certified = stream.peer_names()
        return 0

    cdef int start(self, Startup packet) except -1:
        """The client has said who it is and what it wants."""
        cdef Gate gate = <Gate>self.gate
        self.packet = packet
        if not packet.user:
            raise PgError(
                "no PostgreSQL user name specified in startup packet", Sqlstate.INVALID_AUTHORIZATION, "FATAL")
        self.user = text(packet.user)
        self.database = text(packet.database) if packet.database else self.user
        if not self.encrypted and gate.requires_tls(self.client):
            raise PgError("this proxy requires TLS", Sqlstate.INVALID_AUTHORIZATION, "FATAL",
                          hint="Connect with sslmode=require or stricter.")
        if packet.replication and packet.replication.lower() not in NO_REPLICATION:
            self.replication = packet.replication.lower()
        if packet.options:
            self.others = parse_options(packet.options)[1]
        if packet.negotiates():
            self.client.send_bytes(negotiate_protocol_version(packet.minor, packet.unknown_options))
        gate.admit(self)
        self.step = READING_ROLE
        gate.find_role(self)
        return 0

    @property
    def wanted(self):
        """The settings that the client asks for, by lower-case name: those of `options`, then its parameters."""
        if self.settings is None:
            asked = parse_options(self.packet.options)[0]
            for name, value in self.packet.parameters.items():
                if name not in NOT_SETTINGS:
                    asked[name] = value
            self.settings = {text(name).lower(): value for name, value in asked.items()}
        return self.settings

    # --- authentication --------------------------------------------------------------------------------------------

    def role_found(self, secret, record, method):
        """The role is known (or known not to exist: then no secret): ask the client for its proof."""
        if self.refuted is not None:
            self.secret = secret
            self.record = record
            self.judge_again(self.refuted)
            return
        self.ask(secret, record, asked_method(method, secret))

    cdef int ask(self, object secret, object record, object method) except -1:
        """The same, when it is clear already what to ask for."""
        self.secret = secret
        self.record = record
        self.method = method
        if method is SCRAM:
            self.step = AWAITS_SASL_FIRST
            return self.client.send_bytes(ASK_FOR_EITHER if self.end_point else ASK_FOR_SCRAM)
        if method is TRUST or method is CERT:
            if method is CERT:
                self.check_certificate()
            self.credential = known_credential(secret)
            return self.authenticated()
        if method is IAM and not self.encrypted:
            raise PgError("IAM authentication is allowed only with TLS connections",
                          Sqlstate.INVALID_AUTHORIZATION, "FATAL", hint="Connect with sslmode=require or stricter.")
        self.step = AWAITS_PASSWORD
        self.question = PasswordQuestion(method, self.user, self.gate.worker.cleartext)
        return self.client.send_bytes(self.question.message())

    cdef int check_certificate(self) except -1:
        """Raises PgError unless the client's certificate, which TLS has verified, has a name of the user's."""
        cdef tuple names = self.gate.certificate_names(self.user)
        if self.certified is None:
            raise PgError("connection requires a valid client certificate", Sqlstate.INVALID_AUTHORIZATION, "FATAL")
        if self.certified.isdisjoint(names):
            (<Gate>self.gate).context.counters.logins_failed += 1
            raise PgError(
                f'certificate authentication failed for user "{self.user}"', Sqlstate.INVALID_AUTHORIZATION, "FATAL")
        return 0

    cdef int send_authentication(self, unsigned int kind, bytes payload) except -1:
        """An Authentication message (protocol documentation, "Message Formats")."""
        cdef char head[9]
        head[0] = b'R'
        put32(head + 1, <unsigned int>PyBytes_GET_SIZE(payload) + 8)
        put32(head + 5, kind)
        self.client.send(head, sizeof(head))
        return self.client.send_bytes(payload)

    cdef int sasl_first(self, const char* body, Py_ssize_t size) except -1:
        """SASLInitialResponse: the mechanism, then the client's first message behind its length."""
        cdef Py_ssize_t at = string_end(body, size) + 1
        cdef bytes answer
        cdef bint plus = (self.end_point and at == PLUS_SIZE + 1 and memcmp(body, MECHANISM_PLUS, PLUS_SIZE) == 0)
        if not plus and (at != MECHANISM_SIZE + 1 or memcmp(body, MECHANISM, MECHANISM_SIZE) != 0):
            raise violation("client selected an invalid SASL authentication mechanism")
        if size - at < 4 or <Py_ssize_t>get32(body + at) != size - at - 4:
            raise violation("malformed SASLInitialResponse")
        self.exchange = ScramServer(self.keys(), None, self.end_point, plus)
        try:
            answer = self.exchange.first(PyBytes_FromStringAndSize(body + at + 4, size - at - 4))
        except ScramUnsupported as error:
            raise PgError(str(error), Sqlstate.FEATURE_NOT_SUPPORTED, "FATAL") from None
        except ScramDowngraded as error:
            raise PgError("SCRAM channel binding negotiation error", Sqlstate.INVALID_AUTHORIZATION, "FATAL",
                          str(error)) from None
        except ScramMalformed as error:
            raise violation(f"malformed SCRAM message: {error}") from None
        self.step = AWAITS_SASL_FINAL
        return self.send_authentication(SASL_CONTINUE, answer)

    cdef int sasl_final(self, bytes body) except -1:
        cdef bytes answer
        try:
            answer = self.exchange.final(body)
        except ScramMalformed as error:
            raise violation(f"malformed SCRAM message: {error}") from None
        except ScramFailure:
            return self.wrong_password(body)
        self.send_authentication(SASL_FINAL, answer)
        return self.authenticated()

    cdef int password(self, bytes body) except -1:
        if self.method is IAM:
            self.step = READING_ROLE
            self.gate.judge_token(self, self.question.text(body))
            return 0
        right, self.credential = self.question.check(body, self.secret)
        return self.authenticated() if right else self.wrong_password(body)

    cdef ScramKeys keys(self):
        """What the exchange is held with: for those who have no such verifier, keys made up or derived."""
        if isinstance(self.secret, ScramKeys):
            return self.secret
        return self.gate.exchange_keys.keys(self.user, self.secret)

    cdef int wrong_password(self, bytes proof) except -1:
        """Refuse; but have the role read once more before that, for its password may just have been changed.

        A SCRAM proof fits one salt: only what is older than the login can be worth it, as memory for the next one.
        """
        cdef Gate gate = <Gate>self.gate
        cdef bint one_salt = self.method is SCRAM and not isinstance(self.secret, Plain)
        if self.spare:
            self.secret, *self.spare = self.spare
            return self.judge_again(proof)
        if self.refuted is None and gate.read_again(self, self.arrived if one_salt else gate.context.loop.now):
            self.refuted = proof
            self.step = READING_ROLE
            return 0
        if not self.looked:
            self.looked = True
            if gate.look_again(self):
                self.refuted = proof
                self.step = READING_ROLE
                return 0
        gate.context.counters.logins_failed += 1
        raise wrong_password(self.user)

    def secret_looked(self):
        """The user's secret was read once more. Raises PgError if the client's proof fits nothing of it."""
        self.secret, spare = self.gate.fresh(self.user)
        self.spare = list(spare)
        self.judge_again(self.refuted)

    def token_judged(self, bint good):
        """The verdict on the client's IAM token. Raises PgError if it is not let in."""
        if not good:
            (<Gate>self.gate).context.counters.logins_failed += 1
            raise iam_refused(self.user)
        self.credential = known_credential(self.secret)
        self.authenticated()

    cdef int judge_again(self, bytes proof) except -1:
        """The role was read once more: does the proof fit now?"""
        if self.method is not SCRAM:
            return self.password(proof)
        if self.exchange is not None and self.exchange.renew(self.keys()):
            return self.sasl_final(proof)
        return self.wrong_password(proof)

    cdef int authenticated(self) except -1:
        cdef Gate gate = <Gate>self.gate
        self.step = ADMITTED
        self.client.send_bytes(ADMISSION)
        if gate.passes_through:
            refusal = denial(
                self.record, self.user, self.database, gate.worker.wall_clock(), trusted=self.method in (TRUST, CERT))
            if refusal is not None:
                raise refusal
        gate.context.counters.logins += 1
        return gate.enter(self)

    cdef object shown(self):
        """How to log in to the database as this user: what the client has shown that it knows."""
        if self.exchange is None:
            return self.credential
        if isinstance(self.secret, Plain):
            return PasswordCredential(self.secret.password)
        return ScramCredential(self.exchange.client_key, self.exchange.keys)

    # --- entering a pool -------------------------------------------------------------------------------------------

    def server_lent(self, Borrowing client, server):
        """A server is there: have it check what start-up parameters it has not been asked about yet."""
        if client.pin in (PinReason.STARTUP_OPTION, PinReason.REPLICATION):
            self.gate.greet_dedicated(self, server)
            return
        if not (<Gate>self.gate).greet(self):
            client.validate(self.wanted)

    def validated(self, list values, error):
        """The server has taken, or refused, the start-up parameters."""
        if error is not None and error.sqlstate == CANNOT_CHANGE_NOW:
            self.gate.enter_dedicated(self, PinReason.STARTUP_OPTION)
            return
        if error is not None:
            fatal = PgError(error.message, error.sqlstate, "FATAL", error.detail, error.hint)
            self.client.refuse(fatal, CloseReason.LOGIN_REFUSED)
            return
        self.gate.learn(self, values)


cdef ClientLogin begin_login(object gate, Borrowing client):
    """The login of a client that has just come."""
    cdef ClientLogin login = ClientLogin.__new__(ClientLogin)
    login.gate = gate
    login.client = client
    login.arrived = client.since
    return login


cdef str text(bytes value):
    """Names and the like, whatever bytes they are of."""
    return value.decode("utf-8", "surrogateescape")


cdef object known_credential(object secret):
    """How to log in for a client that proved nothing: by what is stored, if that answers a database's question."""
    if isinstance(secret, Plain):
        return PasswordCredential(secret.password)
    return secret if isinstance(secret, Md5Hash) else None


cdef object unsupported(str version):
    return PgError(
        f"unsupported frontend protocol {version}: server supports 3.0 to 3.{NEWEST_MINOR}",
        Sqlstate.FEATURE_NOT_SUPPORTED, "FATAL")


cdef object violation(str message):
    return PgError(message, Sqlstate.PROTOCOL_VIOLATION, "FATAL")
