"""A connection to the database until it may be spoken on: connected, and encrypted where that is wanted.

Owns the SSLRequest, its answer, and the handshake (PostgreSQL documentation, "SSL Session Encryption"). Refuses to say
anything else: who is connected learns it by `established` or `unreached`.

One byte answers an SSLRequest. More than that was sent by somebody in between, to be taken for the database's word
once the connection is encrypted (CVE-2021-23222): that connection is given up.
"""

from libc.string cimport strerror

from tidegate.engine.stream cimport StreamOwner, attach
from tidegate.engine.tls cimport TlsStream, secure

cdef const char* SSL_REQUEST = b"\0\0\0\x08\x04\xd2\x16\x2f"
cdef enum:
    SSL_REQUEST_SIZE = 8

cdef bytes PROTOCOL = b"postgresql"


cdef class Outgoing(StreamOwner):
    """Base of those who connect to a database."""

    cdef int established(self, bytes end_point) except -1:
        """Speak from now on. `end_point`: what SCRAM can be bound to, b"" for nothing."""
        raise NotImplementedError

    cdef int unreached(self, str words) except -1:
        """There is no connection; `words` say why."""
        raise NotImplementedError

    def open(self, int fd):
        """Take over a non-blocking socket whose connect() is under way."""
        self.stream = attach(self.context.loop, fd, self, True)

    cdef int connected(self, int error) except -1:
        if error:
            return self.unreached((<bytes>strerror(error)).decode())
        if self.encryption is None:
            return self.established(b"")
        if self.encryption.direct:
            return self.begin_tls()
        self.asking = True
        return self.stream.write(SSL_REQUEST, SSL_REQUEST_SIZE)

    cdef Py_ssize_t answered(self, const char* data, Py_ssize_t size) except -1:
        """Take the answer to the SSLRequest; returns the bytes used, which is all of them."""
        self.asking = False
        if size > 1:
            self.unreached("the database sent unencrypted data behind its answer to an SSLRequest")
        elif data[0] == b'S':
            self.begin_tls()
        elif data[0] != b'N':
            self.unreached("what answers an SSLRequest there is no PostgreSQL")
        elif self.encryption.required:
            self.unreached("the database does not offer TLS, which sslmode asks for")
        else:
            self.established(b"")
        return size

    cdef int begin_tls(self) except -1:
        try:
            self.stream = secure(
                self.stream, self.encryption.tls, self.context.handshakes, self.encryption.host, NULL, 0)
        except ValueError as error:
            return self.unreached(str(error))
        self.securing = True
        return 0

    cdef int secured(self) except -1:
        cdef TlsStream stream = <TlsStream>self.stream
        self.securing = False
        if self.encryption.direct and stream.protocol != PROTOCOL:
            return self.unreached("the database took TLS without a request, but not ALPN")
        self.context.counters.servers_encrypted += 1
        return self.established(stream.peer_end_point())

    cdef int insecure(self, str words) except -1:
        self.securing = False
        return self.unreached(f"TLS handshake failed: {words}")
