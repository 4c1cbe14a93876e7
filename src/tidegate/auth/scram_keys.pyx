"""What a server keeps of a SCRAM-SHA-256 password: salt, iteration count, StoredKey and ServerKey.

Owns their derivation (RFC 5802 section 3, with SASLprep), PostgreSQL's text form, and made-up keys for unknown users.
Refuses the exchange itself (`scram`) and to read verifiers from anywhere.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.limits cimport INT_MAX

from tidegate.auth.openssl cimport (
    DIGEST_BYTES, base64_encode, equal_in_constant_time, hmac_sha256, pbkdf2_sha256, random_bytes, sha256, wipe,
)
from tidegate.auth.scram_syntax cimport MESSAGE_LIMIT, Span, decode_base64

from tidegate.auth.saslprep import saslprep
from tidegate.auth.scram_errors import ScramMalformed

DEFAULT_ITERATIONS = 4096         # PostgreSQL's scram_iterations
SALT_BYTES = 16                   # as PostgreSQL makes them


cdef const unsigned char *octets(bytes data) noexcept:
    return <const unsigned char *> PyBytes_AS_STRING(data)


cdef bytes hmac(bytes key, bytes data):
    cdef unsigned char out[DIGEST_BYTES]
    hmac_sha256(octets(key), PyBytes_GET_SIZE(key), octets(data), PyBytes_GET_SIZE(data), out)
    return PyBytes_FromStringAndSize(<char *> out, DIGEST_BYTES)


cdef bytes hashed(bytes data):
    cdef unsigned char out[DIGEST_BYTES]
    sha256(octets(data), PyBytes_GET_SIZE(data), out)
    return PyBytes_FromStringAndSize(<char *> out, DIGEST_BYTES)


cdef bytes password_bytes(object password):
    if isinstance(password, str):
        password = password.encode("utf-8", "surrogateescape")
    return saslprep(password)


cdef bytes salted(bytes prepared, bytes salt, long iterations):
    cdef unsigned char out[DIGEST_BYTES]
    pbkdf2_sha256(prepared, salt, iterations, out)
    cdef bytes result = PyBytes_FromStringAndSize(<char *> out, DIGEST_BYTES)
    wipe(out, DIGEST_BYTES)
    return result


cdef class ScramKeys:
    """What a server stores of a password: PostgreSQL's `SCRAM-SHA-256$4096:salt$StoredKey:ServerKey`."""

    def __cinit__(self, bytes salt not None, iterations, bytes stored_key not None, bytes server_key not None):
        """Raises ValueError if a key is not 32 bytes long, the salt is empty or the count is not 1 to 2^31 - 1."""
        if len(stored_key) != DIGEST_BYTES or len(server_key) != DIGEST_BYTES:
            raise ValueError("a SCRAM-SHA-256 key has 32 bytes")
        if not 0 < len(salt) <= MESSAGE_LIMIT // 2 or not 1 <= iterations <= INT_MAX:
            raise ValueError("a SCRAM verifier needs a salt and a positive iteration count")
        self.salt, self.iterations, self.stored_key, self.server_key = salt, iterations, stored_key, server_key
        self.challenge = b",s=" + base64_encode(salt) + b",i=%d" % iterations

    @staticmethod
    def parse(str text not None):
        """Read PostgreSQL's text form. Raises ValueError."""
        scheme, _, rest = text.partition("$")
        parameters, _, keys = rest.partition("$")
        iterations, _, salt = parameters.partition(":")
        stored, _, server = keys.partition(":")
        if scheme != "SCRAM-SHA-256" or not iterations.isascii() or not iterations.isdigit() or len(iterations) > 10:
            raise ValueError("not a SCRAM-SHA-256 verifier")
        try:
            decoded = [text_base64(part) for part in (salt, stored, server)]
        except ScramMalformed as malformed:
            raise ValueError("not a SCRAM-SHA-256 verifier: a part is not valid base64") from malformed
        return ScramKeys(decoded[0], int(iterations), decoded[1], decoded[2])

    @staticmethod
    def from_password(password not None, bytes salt=None, long iterations=DEFAULT_ITERATIONS):
        """Derive keys from a password (str or bytes): milliseconds of CPU, without the GIL. No salt: a random one."""
        if salt is None:
            salt = random_bytes(SALT_BYTES)
        derived = salted(password_bytes(password), salt, iterations)
        return ScramKeys(salt, iterations, hashed(hmac(derived, b"Client Key")), hmac(derived, b"Server Key"))

    @staticmethod
    def mock(bytes user not None, bytes secret not None):
        """Return keys for a user that has none: always the same for one user and secret, and no proof is right.

        RFC 5802 section 9 wants unknown users to look like a wrong password, which a changing salt would give away.
        """
        cdef ScramKeys keys = ScramKeys(ScramKeys.stable_salt(user, secret), DEFAULT_ITERATIONS,
                                        hmac(secret, b"stored key:" + user), hmac(secret, b"server key:" + user))
        keys.is_mock = True
        return keys

    @staticmethod
    def stable_salt(bytes user not None, bytes secret not None):
        """The salt of `mock`: use it for keys derived from a plain password too, so that the two look alike."""
        return hmac(secret, b"salt:" + user)[:SALT_BYTES]

    def text(self):
        """Return PostgreSQL's text form; of mock keys too, though it verifies nothing."""
        return (f"SCRAM-SHA-256${self.iterations}:{base64_encode(self.salt).decode()}"
                f"${base64_encode(self.stored_key).decode()}:{base64_encode(self.server_key).decode()}")

    def verify_password(self, password not None):
        """Whether a clear-text password is the right one: milliseconds of CPU, without the GIL."""
        derived = salted(password_bytes(password), self.salt, self.iterations)
        cdef bytes server_key = hmac(derived, b"Server Key")
        return equal_in_constant_time(octets(server_key), octets(self.server_key), DIGEST_BYTES) and not self.is_mock

    def __eq__(self, other):
        if not isinstance(other, ScramKeys):
            return NotImplemented
        return self._identity() == (<ScramKeys> other)._identity()

    def __hash__(self):
        return hash(self._identity())

    def __repr__(self):
        return f"ScramKeys(iterations={self.iterations}, keys hidden)"

    def _identity(self):
        return self.salt, self.iterations, self.stored_key, self.server_key, self.is_mock


cdef bytes text_base64(str text):
    cdef bytes data = text.encode("utf-8", "surrogateescape")
    cdef Span span
    span.data, span.size = octets(data), PyBytes_GET_SIZE(data)
    return decode_base64(span, "part")
