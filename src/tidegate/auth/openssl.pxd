"""What SCRAM needs of OpenSSL's libcrypto; openssl.pyx says how it is used."""

cdef enum:
    DIGEST_BYTES = 32     # of SHA-256
    BLOCK_BYTES = 64      # of SHA-256 (FIPS 180-4)

cdef int sha256(const unsigned char *data, size_t size, unsigned char *out) except -1
cdef int hmac_sha256(const unsigned char *key, size_t key_size, const unsigned char *data, size_t size,
                     unsigned char *out) except -1
cdef int pbkdf2_sha256(bytes password, bytes salt, long iterations, unsigned char *out) except -1
cdef int random_fill(unsigned char *out, size_t size) except -1
cdef bytes random_bytes(Py_ssize_t size)
cdef bint equal_in_constant_time(const unsigned char *one, const unsigned char *other, size_t size) noexcept
cdef void wipe(void *data, size_t size) noexcept
cdef bytes base64_encode(bytes data)
cdef Py_ssize_t base64_decode(const unsigned char *text, Py_ssize_t size, unsigned char *out,
                              Py_ssize_t capacity) noexcept
