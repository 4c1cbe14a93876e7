"""SHA-256, HMAC, PBKDF2, randomness and strict base64 over OpenSSL's libcrypto.

Owns the one place that calls libcrypto. Refuses any knowledge of SCRAM.

Looking an algorithm up costs OpenSSL 3 more than hashing 200 bytes does, so SHA-256 is fetched once and one context is
used for all hashes. That is safe because nothing between its init and its final releases the GIL; PBKDF2, which does
release it, has a context of its own. HMAC (RFC 2104) is written out over that context: re-keying OpenSSL's own MAC
object costs more than the two hashes.
"""

import os

from libc.string cimport memcpy, memset
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.limits cimport INT_MAX

cdef extern from "openssl/evp.h" nogil:
    ctypedef struct EVP_MD:
        pass
    ctypedef struct EVP_MD_CTX:
        pass
    EVP_MD *EVP_MD_fetch(void *library, const char *algorithm, const char *properties)
    EVP_MD_CTX *EVP_MD_CTX_new()
    int EVP_DigestInit_ex2(EVP_MD_CTX *context, const EVP_MD *md, const void *parameters)
    int EVP_DigestUpdate(EVP_MD_CTX *context, const void *data, size_t size)
    int EVP_DigestFinal_ex(EVP_MD_CTX *context, unsigned char *out, unsigned int *size)
    int EVP_EncodeBlock(unsigned char *out, const unsigned char *data, int size)
    int PKCS5_PBKDF2_HMAC(const char *password, int password_size, const unsigned char *salt, int salt_size,
                          int iterations, const EVP_MD *md, int key_size, unsigned char *out)

cdef extern from "openssl/crypto.h" nogil:
    int CRYPTO_memcmp(const void *one, const void *other, size_t size)
    void OPENSSL_cleanse(void *data, size_t size)

cdef extern from "openssl/rand.h" nogil:
    int RAND_bytes(unsigned char *out, int size)


cdef enum:
    RESERVE = 1024                    # random bytes fetched at once

cdef unsigned char reserve[RESERVE]
cdef size_t unspent = 0               # of them, from the start
cdef EVP_MD *SHA256 = EVP_MD_fetch(NULL, b"SHA256", NULL)
cdef EVP_MD_CTX *CONTEXT = EVP_MD_CTX_new()
if SHA256 is NULL or CONTEXT is NULL:
    raise ImportError("OpenSSL's libcrypto offers no SHA-256")


cdef int failed(str what) except -1:
    raise RuntimeError(f"OpenSSL failed: {what}")


cdef int sha256(const unsigned char *data, size_t size, unsigned char *out) except -1:
    """Write the 32 bytes of SHA-256(data)."""
    if (EVP_DigestInit_ex2(CONTEXT, SHA256, NULL) != 1 or EVP_DigestUpdate(CONTEXT, data, size) != 1
            or EVP_DigestFinal_ex(CONTEXT, out, NULL) != 1):
        failed("SHA-256")
    return 0


cdef int padded_hash(const unsigned char *key_block, unsigned char pad, const unsigned char *data, size_t size,
                     unsigned char *out) except -1:
    """One half of RFC 2104: H((key XOR pad) || data)."""
    cdef unsigned char block[BLOCK_BYTES]
    cdef int i
    for i in range(BLOCK_BYTES):
        block[i] = key_block[i] ^ pad
    cdef bint done = (EVP_DigestInit_ex2(CONTEXT, SHA256, NULL) == 1
                      and EVP_DigestUpdate(CONTEXT, block, BLOCK_BYTES) == 1
                      and EVP_DigestUpdate(CONTEXT, data, size) == 1
                      and EVP_DigestFinal_ex(CONTEXT, out, NULL) == 1)
    OPENSSL_cleanse(block, BLOCK_BYTES)
    if not done:
        failed("HMAC-SHA-256")
    return 0


cdef int hmac_sha256(const unsigned char *key, size_t key_size, const unsigned char *data, size_t size,
                     unsigned char *out) except -1:
    """Write the 32 bytes of HMAC-SHA-256 (RFC 2104)."""
    cdef unsigned char key_block[BLOCK_BYTES]
    cdef unsigned char inner[DIGEST_BYTES]
    cdef size_t i
    memset(key_block, 0, BLOCK_BYTES)
    if key_size > BLOCK_BYTES:
        sha256(key, key_size, key_block)
    else:
        for i in range(key_size):
            key_block[i] = key[i]
    padded_hash(key_block, 0x36, data, size, inner)
    padded_hash(key_block, 0x5C, inner, DIGEST_BYTES, out)
    OPENSSL_cleanse(key_block, BLOCK_BYTES)
    return 0


cdef int pbkdf2_sha256(bytes password, bytes salt, long iterations, unsigned char *out) except -1:
    """Write 32 bytes of PBKDF2-HMAC-SHA-256 (RFC 8018); milliseconds of CPU, during which the GIL is released."""
    if PyBytes_GET_SIZE(password) > INT_MAX or PyBytes_GET_SIZE(salt) > INT_MAX or not 1 <= iterations <= INT_MAX:
        raise ValueError("password, salt or iteration count too large")
    cdef const char *secret = PyBytes_AS_STRING(password)
    cdef const unsigned char *salted = <const unsigned char *> PyBytes_AS_STRING(salt)
    cdef int secret_size = <int> PyBytes_GET_SIZE(password)
    cdef int salt_size = <int> PyBytes_GET_SIZE(salt)
    cdef int done
    with nogil:
        done = PKCS5_PBKDF2_HMAC(secret, secret_size, salted, salt_size, <int> iterations, SHA256, DIGEST_BYTES, out)
    if done != 1:
        failed("PBKDF2")
    return 0


cdef int random_fill(unsigned char *out, size_t size) except -1:
    """Write unpredictable bytes, each given out once: neither a child of a fork gets them too, nor are they kept.

    OpenSSL is asked for many at a time, since a call costs it more than the bytes do.
    """
    global unspent
    if size > RESERVE:
        raise ValueError("so many random bytes are not wanted at once")
    if unspent < size:
        if RAND_bytes(reserve, RESERVE) != 1:
            failed("no randomness")
        unspent = RESERVE
    unspent -= size
    memcpy(out, reserve + unspent, size)
    OPENSSL_cleanse(reserve + unspent, size)
    return 0


def forget_reserve():
    """In a child after a fork: what is left of the reserve is the parent's."""
    global unspent
    unspent = 0


os.register_at_fork(after_in_child=forget_reserve)


cdef bytes random_bytes(Py_ssize_t size):
    """The same, as bytes."""
    cdef bytes out = PyBytes_FromStringAndSize(NULL, size)
    random_fill(<unsigned char *> PyBytes_AS_STRING(out), size)
    return out


cdef bint equal_in_constant_time(const unsigned char *one, const unsigned char *other, size_t size) noexcept:
    return CRYPTO_memcmp(one, other, size) == 0


cdef void wipe(void *data, size_t size) noexcept:
    """Overwrite a secret, in a way that the compiler may not leave out."""
    OPENSSL_cleanse(data, size)


cdef bytes base64_encode(bytes data):
    """Return base64 (RFC 4648 section 4) without line breaks."""
    cdef Py_ssize_t size = PyBytes_GET_SIZE(data)
    if size > INT_MAX // 2:
        raise ValueError("too large for base64")
    cdef bytes out = PyBytes_FromStringAndSize(NULL, (size + 2) // 3 * 4)
    # EncodeBlock also writes a NUL, for which a bytes object always has room.
    EVP_EncodeBlock(<unsigned char *> PyBytes_AS_STRING(out), <const unsigned char *> PyBytes_AS_STRING(data),
                    <int> size)
    return out


cdef int sextet(unsigned char char) noexcept:
    if c'A' <= char <= c'Z':
        return char - c'A'
    if c'a' <= char <= c'z':
        return char - c'a' + 26
    if c'0' <= char <= c'9':
        return char - c'0' + 52
    if char == c'+':
        return 62
    if char == c'/':
        return 63
    return -1


cdef Py_ssize_t base64_decode(const unsigned char *text, Py_ssize_t size, unsigned char *out,
                              Py_ssize_t capacity) noexcept:
    """Decode base64 strictly: padded, no other characters, unused bits zero. Returns the length, -1 if malformed.

    OpenSSL's own decoder skips blanks and counts padding as data, so two texts could mean one value.
    """
    if size == 0 or size % 4 != 0:
        return -1
    cdef Py_ssize_t padding = (text[size - 1] == c'=') + (text[size - 1] == c'=' and text[size - 2] == c'=')
    cdef Py_ssize_t length = size // 4 * 3 - padding
    if length > capacity:
        return -1
    cdef unsigned int bits = 0
    cdef int pending = 0, value
    cdef Py_ssize_t i, written = 0
    for i in range(size - padding):
        value = sextet(text[i])
        if value < 0:
            return -1
        bits = (bits << 6) | <unsigned int> value
        pending += 6
        if pending >= 8:
            pending -= 8
            out[written] = <unsigned char> ((bits >> pending) & 0xFF)
            written += 1
    if bits & ((1u << pending) - 1):
        return -1
    return length
