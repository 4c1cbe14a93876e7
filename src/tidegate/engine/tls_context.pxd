"""The readable summary of a TLS context: what all connections of one kind have in common."""

from tidegate.engine.openssl cimport SSL_CTX, X509


cdef class TlsContext:
    cdef SSL_CTX* ctx
    cdef readonly bint accepts  # connections come in; else they go out
    cdef readonly bytes end_point  # channel binding tls-server-end-point (RFC 5929) of its certificate; b"" without
    cdef readonly bint checks_host  # outgoing: the certificate must name the host

    cdef int use_certificate(self, str certificate, str key) except -1
    cdef int trust(self, str ca) except -1


cdef bytes end_point_of(const X509* certificate)
cdef str reason(unsigned long code)
cdef str last_reason()
