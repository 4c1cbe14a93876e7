"""SCRAM-SHA-256, both ends of the exchange, as PostgreSQL speaks it.

Owns messages, their order, and proofs (RFC 5802, RFC 7677; PostgreSQL documentation, "SASL Authentication"), with channel
binding where there is TLS (SCRAM-SHA-256-PLUS, of type tls-server-end-point: RFC 5929). Refuses to read keys from
anywhere, and to say who may log in (`roles`).

    SaltedPassword  = PBKDF2(SASLprep(password), salt, iterations)     1 to 3 ms: never for a login
    ClientKey       = HMAC(SaltedPassword, "Client Key")               StoredKey = SHA-256(ClientKey)
    ServerKey       = HMAC(SaltedPassword, "Server Key")
    AuthMessage     = client-first-message-bare "," server-first-message "," client-final-message-without-proof
    ClientProof     = ClientKey XOR HMAC(StoredKey, AuthMessage)       sent by the client
    ServerSignature = HMAC(ServerKey, AuthMessage)                     sent by the server

A server stores StoredKey and ServerKey only. But a right proof, XORed with HMAC(StoredKey, AuthMessage), yields the
ClientKey: with it and the stored keys the holder can in turn play the client against any server that has the same
verifier. That is how a proxy that knows no password logs in as its client's user.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcmp

from tidegate.auth.openssl cimport (
    DIGEST_BYTES, base64_encode, equal_in_constant_time, hmac_sha256, random_bytes, sha256, wipe,
)
from tidegate.auth.scram_keys cimport ScramKeys, hashed, hmac, octets, password_bytes, salted
from tidegate.auth.scram_syntax cimport (
    MESSAGE_LIMIT, Cursor, Span, check_nonce, decode_base64, decode_digest, iteration_count, next_name, open_message,
    refuse_mandatory_extension, skip_comma, skip_extensions, span_bytes, span_equals, take,
)

from tidegate.auth.scram_errors import ScramDowngraded, ScramFailure, ScramMalformed, ScramMismatch, ScramUnsupported

MECHANISM = "SCRAM-SHA-256"
MECHANISM_PLUS = "SCRAM-SHA-256-PLUS"
MAX_ITERATIONS = 5_000_000        # 1 to 4 s of CPU: what a database may make the proxy spend on one password

cdef enum:
    NONCE_RANDOM_BYTES = 18       # 24 characters, as PostgreSQL

# The gs2 headers (RFC 5802, section 7): with channel binding; supported, but not offered by the server; not there.
cdef bytes BOUND = b"p=tls-server-end-point,,"
cdef bytes WOULD_BIND = b"y,,"
cdef bytes UNBOUND = b"n,,"
cdef bytes END_POINT = b"tls-server-end-point"


cdef class ScramServer:
    """The server's side of one exchange: `first`, then `final`; any error ends it, unless newer keys `renew` it.

    A client may not ask to act as somebody else than the user of its start-up packet (`a=`): as with PostgreSQL.
    """

    def __cinit__(self, ScramKeys keys not None, bytes nonce=None, bytes end_point=b"", bint plus=False):
        """`nonce` is the server's part of the nonce, for tests; by default random. `end_point`: the channel's data where
        binding to it was offered; `plus`: the client has chosen the mechanism that does.
        """
        self.keys, self.state = keys, EXPECT_FIRST
        self.end_point, self.plus = end_point, plus
        self.server_nonce = base64_encode(random_bytes(NONCE_RANDOM_BYTES)) if nonce is None else nonce

    cpdef bytes first(self, bytes client_first):
        """Take client-first-message, return server-first-message. Raises ScramMalformed, ScramUnsupported."""
        if self.state != EXPECT_FIRST or client_first is None:
            raise ScramMalformed("A message of the exchange came out of turn.")
        self.state = REFUSED
        cdef bytes reply = self.read_first(client_first)
        self.state = EXPECT_FINAL
        return reply

    cdef bytes read_first(self, bytes client_first):
        cdef Cursor cursor
        cdef const unsigned char *start
        cdef Span header, bare, nonce
        open_message(client_first, &cursor)
        start = cursor.at
        self.read_binding(&cursor)
        skip_comma(&cursor)
        if cursor.at != cursor.end and cursor.at[0] == c'a':
            raise ScramUnsupported("client uses authorization identity, but it is not supported")
        skip_comma(&cursor)
        header.data, header.size = start, cursor.at - start
        bare.data, bare.size = cursor.at, cursor.end - cursor.at
        if next_name(&cursor) == c'm':
            raise ScramUnsupported("client requires an unsupported SCRAM extension")
        take(&cursor, c'n')              # PostgreSQL ignores it: the user is the start-up packet's
        skip_comma(&cursor)
        nonce = take(&cursor, c'r')
        check_nonce(nonce)
        skip_extensions(&cursor, 0)

        self.binding = base64_encode(span_bytes(header) + (self.end_point if self.plus else b""))
        self.first_bare = span_bytes(bare)
        self.nonce = span_bytes(nonce) + self.server_nonce
        self.server_first = b"r=" + self.nonce + self.keys.challenge
        return self.server_first

    cdef int read_binding(self, Cursor *cursor) except -1:
        """The flag that begins the gs2 header: "p" (binds), "y" (would, but believes that it is not offered), "n"."""
        cdef unsigned char flag = cursor.at[0]
        if flag == c'p':
            if not self.plus:
                raise ScramMalformed("Channel binding was asked for but not offered.")
            if not span_equals(take(cursor, c'p'), END_POINT):
                raise ScramMalformed("The type of channel binding is not supported.")
            return 0
        if flag != c'n' and flag != c'y':
            raise ScramMalformed("The channel-binding flag is malformed.")
        if self.plus:
            raise ScramMalformed("The mechanism binds to the channel, but the message does not.")
        if flag == c'y' and self.end_point:
            raise ScramDowngraded("The client supports channel binding but thinks the server does not; it does.")
        cursor.at += 1
        return 0

    cpdef bytes final(self, bytes client_final):
        """Take client-final-message, return server-final-message.

        Raises ScramFailure when the proof is wrong, ScramMalformed when the message is. The same work is done for a
        mock, so that timing does not tell an unknown user from a wrong password.
        """
        cdef unsigned char proof[DIGEST_BYTES]
        cdef unsigned char signature[DIGEST_BYTES]
        cdef unsigned char stored[DIGEST_BYTES]
        cdef bytes auth_message
        cdef int i
        if self.state != EXPECT_FINAL or client_final is None:
            raise ScramMalformed("A message of the exchange came out of turn.")
        self.state = REFUSED
        auth_message = b",".join((self.first_bare, self.server_first, self.read_final(client_final, proof)))
        hmac_sha256(octets(self.keys.stored_key), DIGEST_BYTES, octets(auth_message), PyBytes_GET_SIZE(auth_message),
                    signature)
        for i in range(DIGEST_BYTES):
            proof[i] ^= signature[i]     # now the ClientKey, if the proof was right
        sha256(proof, DIGEST_BYTES, stored)
        cdef bint right = equal_in_constant_time(stored, octets(self.keys.stored_key), DIGEST_BYTES)
        if not right or self.keys.is_mock:
            wipe(proof, DIGEST_BYTES)
            self.state = DISPROVEN
            raise ScramFailure("The proof does not match.")
        self.verified_client_key = PyBytes_FromStringAndSize(<char *> proof, DIGEST_BYTES)
        wipe(proof, DIGEST_BYTES)
        self.state = VERIFIED
        return b"v=" + base64_encode(hmac(self.keys.server_key, auth_message))

    cpdef bint renew(self, ScramKeys keys):
        """After a wrong proof: take keys read since, for `final` to be called with the same message once more.

        False if that proof can't be theirs, since it was made with another salt or iteration count.
        """
        if self.state != DISPROVEN or keys is None or keys.challenge != self.keys.challenge:
            return False
        self.keys = keys
        self.state = EXPECT_FINAL
        return True

    cdef bytes read_final(self, bytes client_final, unsigned char *proof):
        """Check everything but the proof, which is decoded to `proof`; return client-final-message-without-proof."""
        cdef Cursor cursor
        cdef Span unproven
        open_message(client_final, &cursor)
        unproven.data = cursor.at
        if not span_equals(take(&cursor, c'c'), self.binding):
            raise ScramMalformed("The channel-binding data does not match the first message.")
        skip_comma(&cursor)
        if not span_equals(take(&cursor, c'r'), self.nonce):
            raise ScramMalformed("The nonce does not match.")
        skip_extensions(&cursor, c'p')
        unproven.size = cursor.at - unproven.data
        skip_comma(&cursor)
        decode_digest(take(&cursor, c'p'), proof, "proof")
        if cursor.at != cursor.end:
            raise ScramMalformed("Something follows the proof.")
        return span_bytes(unproven)

    @property
    def client_key(self):
        """The client's key (32 bytes), with which the proxy can log in as this user. RuntimeError before success."""
        if self.state != VERIFIED:
            raise RuntimeError("no client key: the exchange has not succeeded")
        return self.verified_client_key


cdef class ScramClient:
    """The client's side of one exchange: `first`, `final`, `verify`; any error ends it.

    It knows a password, or a client key with the stored keys it belongs to, or both: then the keys spare it PBKDF2 as
    long as the server's salt and iteration count are theirs, and the password serves otherwise. After `verify`, `keys`
    and `client_key` are those that served, to be kept for the next exchange.
    """

    def __cinit__(self, password=None, *, bytes client_key=None, ScramKeys keys=None, bytes nonce=None,
                  bytes end_point=b"", bint plus=False):
        """`nonce` is for tests; by default random. `end_point`: the channel's data, b"" where it can't be bound to;
        `plus`: the server offers it. Raises ValueError without a password or both kinds of keys.
        """
        if (client_key is None) != (keys is None) or (password is None and keys is None):
            raise ValueError("a SCRAM client needs a password, or a client key and its stored keys")
        if client_key is not None and len(client_key) != DIGEST_BYTES:
            raise ValueError("a SCRAM-SHA-256 key has 32 bytes")
        self.password = None if password is None else password_bytes(password)
        self.client_key, self.keys, self.state = client_key, keys, SEND_FIRST
        self.nonce = base64_encode(random_bytes(NONCE_RANDOM_BYTES)) if nonce is None else nonce
        self.header = UNBOUND if not end_point else BOUND if plus else WOULD_BIND
        self.binding = base64_encode(self.header + (end_point if plus else b""))

    cpdef bytes first(self):
        """Return client-first-message. The user name in it is empty: PostgreSQL takes the start-up packet's."""
        if self.state != SEND_FIRST:
            raise ScramMalformed("A message of the exchange came out of turn.")
        self.state = AWAIT_CHALLENGE
        return self.header + b"n=,r=" + self.nonce

    cpdef bytes final(self, bytes server_first):
        """Take server-first-message, return client-final-message.

        Raises ScramMalformed, or ScramMismatch when there are only keys and the server's salt or iteration count is
        another. With a password that needs deriving this takes milliseconds, without the GIL.
        """
        if self.state != AWAIT_CHALLENGE or server_first is None:
            raise ScramMalformed("A message of the exchange came out of turn.")
        self.state = ABANDONED
        cdef bytes reply = self.answer(server_first)
        self.state = AWAIT_SIGNATURE
        return reply

    cdef bytes answer(self, bytes server_first):
        cdef Cursor cursor
        cdef Span nonce
        cdef bytes salt, unproven, signature
        cdef long iterations
        cdef unsigned char proof[DIGEST_BYTES]
        cdef int i
        open_message(server_first, &cursor)
        refuse_mandatory_extension(&cursor)
        nonce = take(&cursor, c'r')
        if (nonce.size <= PyBytes_GET_SIZE(self.nonce)
                or memcmp(nonce.data, PyBytes_AS_STRING(self.nonce), PyBytes_GET_SIZE(self.nonce)) != 0):
            raise ScramMalformed("The nonce does not continue the client's.")
        check_nonce(nonce)
        skip_comma(&cursor)
        salt = decode_base64(take(&cursor, c's'), "salt")
        skip_comma(&cursor)
        iterations = iteration_count(take(&cursor, c'i'))
        skip_extensions(&cursor, 0)
        self.derive(salt, iterations)

        unproven = b"c=" + self.binding + b",r=" + span_bytes(nonce)
        self.auth_message = b",".join((b"n=,r=" + self.nonce, server_first, unproven))
        signature = hmac(self.keys.stored_key, self.auth_message)
        for i in range(DIGEST_BYTES):
            proof[i] = octets(signature)[i] ^ octets(self.client_key)[i]
        return unproven + b",p=" + base64_encode(PyBytes_FromStringAndSize(<char *> proof, DIGEST_BYTES))

    cdef derive(self, bytes salt, long iterations):
        """Make `keys` and `client_key` those of this salt and iteration count."""
        if self.keys is not None and self.keys.salt == salt and self.keys.iterations == iterations:
            return
        if self.password is None:
            raise ScramMismatch("The salt or iteration count is not that of the keys.")
        if iterations > MAX_ITERATIONS:
            raise ScramMalformed(f"The iteration count is above {MAX_ITERATIONS}.")
        if len(salt) > MESSAGE_LIMIT // 2:
            raise ScramMalformed("The salt is too long.")
        derived = salted(self.password, salt, iterations)
        self.client_key = hmac(derived, b"Client Key")
        self.keys = ScramKeys(salt, iterations, hashed(self.client_key), hmac(derived, b"Server Key"))

    cpdef verify(self, bytes server_final):
        """Check server-final-message. Raises ScramFailure if the server doesn't know the keys, or ScramMalformed."""
        cdef Cursor cursor
        cdef unsigned char given[DIGEST_BYTES]
        cdef bytes expected
        if self.state != AWAIT_SIGNATURE or server_final is None:
            raise ScramMalformed("A message of the exchange came out of turn.")
        self.state = ABANDONED
        open_message(server_final, &cursor)
        if next_name(&cursor) == c'e':
            raise ScramFailure("The server refused the proof.")
        decode_digest(take(&cursor, c'v'), given, "server signature")
        skip_extensions(&cursor, 0)
        expected = hmac(self.keys.server_key, self.auth_message)
        if not equal_in_constant_time(given, octets(expected), DIGEST_BYTES):
            raise ScramFailure("The server's signature does not match.")
        self.state = PROVEN
