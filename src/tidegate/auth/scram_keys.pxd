"""What is kept of a SCRAM password; scram_keys.pyx explains it."""

cdef class ScramKeys:
    cdef readonly bytes salt
    cdef readonly long iterations
    cdef readonly bytes stored_key         # 32 bytes
    cdef readonly bytes server_key         # 32 bytes
    cdef readonly bint is_mock             # made up for an unknown user: no proof is right
    cdef bytes challenge                   # ",s=<salt>,i=<iterations>", the constant end of server-first-message

cdef const unsigned char *octets(bytes data) noexcept
cdef bytes hmac(bytes key, bytes data)
cdef bytes hashed(bytes data)
cdef bytes password_bytes(object password)
cdef bytes salted(bytes prepared, bytes salt, long iterations)
