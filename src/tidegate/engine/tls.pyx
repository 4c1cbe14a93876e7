"""A stream whose bytes are encrypted: OpenSSL between the owner and the socket.

Owns the handshake's steps, encryption and decryption. Refuses to compute a handshake itself (`handshakes` does), and to
know certificates (`tls_context`).

Reading goes from the socket into OpenSSL's own buffer, one call for as much as is there. What OpenSSL writes gathers in
the pipe, and leaves as a plain stream's bytes do: with what others write in this turn. So `out_len` counts encrypted
bytes, and nothing else of a stream's rules changes.

An open stream becomes an encrypted one in place (`secure`): same descriptor, same owner, no call of epoll.
"""

import ipaddress

from libc.errno cimport EAGAIN, EINTR, errno

from cpython.bytes cimport PyBytes_FromStringAndSize

from tidegate.engine.buffers cimport leave_place, use_buffers
from tidegate.engine.loop cimport EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP
from tidegate.engine.names cimport names_of
from tidegate.engine.openssl cimport (
    BIO, ERR_clear_error, SSL_ERROR_NONE, SSL_ERROR_WANT_READ, SSL_READING, SSL_RECEIVED_SHUTDOWN, SSL_free,
    SSL_get0_alpn_selected, SSL_get0_param, SSL_get1_peer_certificate, SSL_get_cipher_name, SSL_get_shutdown,
    SSL_get_verify_result, SSL_get_version, SSL_has_pending, SSL_in_init, SSL_new, SSL_read, SSL_session_reused,
    SSL_set1_host, SSL_set_accept_state, SSL_set_bio, SSL_set_connect_state, SSL_set_hostflags,
    SSL_set_tlsext_host_name, SSL_shutdown, SSL_want, SSL_write, X509, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS,
    X509_V_OK, X509_VERIFY_PARAM_set1_ip_asc, X509_free, X509_verify_cert_error_string,
)
from tidegate.engine.pipe cimport borrow_out, free_pipe, new_bio, put_early, return_out
from tidegate.engine.stream cimport BROKEN, WOULD_BLOCK
from tidegate.engine.tls_context cimport end_point_of, reason

cdef extern from "sys/socket.h" nogil:
    Py_ssize_t recv(int fd, void* buffer, size_t size, int flags)

cdef enum:
    MOST_EARLY = 131072  # bytes of a handshake; certificate chains are the longest part
    RECEIVES = 8  # calls of recv for one read: records without data (key updates) could keep it for ever
    MOST_UNASKED = 65536  # bytes that wait for one who makes OpenSSL answer, and reads nothing


cdef class Turn(Shaker):
    cdef int worked(self) except -1:
        try:
            self.stream.stepped()
        except Exception as error:
            self.stream.on_failure(error)
        return 0


cdef class TlsStream(Stream):
    def __dealloc__(self):
        leave_place(&self.keeper)
        if self.ssl != NULL:
            SSL_free(self.ssl)
        free_pipe(&self.pipe)

    # --- the handshake --------------------------------------------------------------------------------------------

    cdef int on_event(self, unsigned int events) except -1:
        if not self.shaking:
            return Stream.on_event(self, events)
        if events & EPOLLOUT and self.out_len:
            self.flush()
        if events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR):
            self.peer_closed = True
        if events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR):
            self.may_read = True
        if self.may_read and not self.at_work:
            self.feed()
        return 0

    cdef int feed(self) except -1:
        """Hand what has come to the thread."""
        cdef Py_ssize_t got
        cdef bint some = self.pipe.early_size > 0
        while self.fd >= 0:
            got = recv(self.fd, self.loop.shared, self.loop.shared_size, 0)
            if got < 0 and errno == EINTR:
                continue
            if got <= 0:
                self.may_read = False
                if got == 0 or errno != EAGAIN:
                    self.pipe.at_end = some = True
                break
            put_early(&self.pipe, self.loop.shared, got)
            some = True
            if self.pipe.early_size > MOST_EARLY:
                return self.refuse("the handshake is too long")
        if some or not self.tls.accepts:
            self.at_work = True
            self.handshakes.submit(&self.job, self.turn)
        return 0

    cdef int stepped(self) except -1:
        """The thread is done with a step."""
        self.at_work = False
        if self.fd < 0:
            return 0
        self.push(True)
        if self.job.result == SSL_ERROR_WANT_READ:
            return self.feed() if self.may_read else 0
        if self.job.result != SSL_ERROR_NONE:
            return self.refuse(self.why_failed())
        self.shaking = False
        self.turn = None  # else the two would keep each other
        self.pipe.fd = self.fd
        self.owner.secured()
        if self.fd >= 0:
            # What came behind the handshake's last bytes lies in OpenSSL's buffer: no event will tell of it.
            self.may_read = True
            self.loop.again(self, EPOLLIN)
        return 0

    def why_failed(self):
        """In words."""
        cdef long verified = SSL_get_verify_result(self.ssl)
        if verified != X509_V_OK:
            return (<bytes>X509_verify_cert_error_string(verified)).decode()
        if self.job.error == 0:
            return "the other end closed the connection"
        return reason(self.job.error)

    cdef int refuse(self, str words) except -1:
        self.shaking = False
        self.broken = True
        self.turn = None
        return self.owner.insecure(words)

    cdef int close(self) except -1:
        self.turn = None  # a job under way holds its own reference
        leave_place(&self.keeper)
        return Stream.close(self)

    # --- reading and writing --------------------------------------------------------------------------------------

    cdef Py_ssize_t read(self, char* into, size_t size) except? -3:
        cdef size_t total = 0
        cdef int got = 0
        if self.fd < 0 or self.broken:
            return BROKEN
        if self.shaking:
            self.may_read = False
            return WOULD_BLOCK  # the SSL is the thread's
        use_buffers(&self.keeper)
        self.pipe.emptied = self.pipe.exhausted = False
        self.pipe.watchful = self.peer_closed
        self.pipe.left = RECEIVES
        while total < size:
            got = SSL_read(self.ssl, into + total, <int>(size - total))
            if got <= 0:
                break
            total += got
            if self.pipe.emptied and not SSL_has_pending(self.ssl):
                self.may_read = False
                break
        if self.pipe.out_size:
            self.push(True)  # alerts, key updates
            if total == 0 and self.out_len > MOST_UNASKED:
                return BROKEN
        return total if got > 0 else self.why_no_more(total)

    cdef Py_ssize_t why_no_more(self, size_t total) except? -3:
        """OpenSSL has nothing beyond what was read: what the owner is told.

        From what the SSL and the pipe know rather than by SSL_get_error, which asks the thread's queue of errors: that
        would have to be cleared before each call.
        """
        if SSL_want(self.ssl) == SSL_READING and not self.pipe.at_end and not self.pipe.broken:
            if not self.pipe.exhausted:
                self.may_read = False
            elif total == 0:
                self.may_read = False
                self.loop.again(self, EPOLLIN)  # others have their turn first
            return total if total else WOULD_BLOCK
        ERR_clear_error()
        if total:
            return total  # the next call tells
        self.may_read = False
        # An alert that ends the connection counts as its end, too, but leaves the SSL where a handshake would begin.
        return 0 if SSL_get_shutdown(self.ssl) & SSL_RECEIVED_SHUTDOWN and not SSL_in_init(self.ssl) else BROKEN

    cdef int write(self, const char* data, size_t size) except -1:
        self.encrypt(data, size)
        return self.push(False)

    cdef int write_soon(self, const char* data, size_t size) except -1:
        self.encrypt(data, size)
        return self.push(True)

    cdef int encrypt(self, const char* data, size_t size) except -1:
        if self.fd < 0 or self.broken or self.shaking or size == 0:
            return 0  # what is said amid a handshake can't be: its other end is told nothing, and the connection ends
        use_buffers(&self.keeper)
        borrow_out(&self.pipe)
        if SSL_write(self.ssl, data, <int>size) != <int>size:
            ERR_clear_error()
            self.broken = True
            self.loop.again(self, EPOLLHUP)
        return 0

    cdef int push(self, bint soon) except -1:
        """Send what OpenSSL has written."""
        cdef size_t size = self.pipe.out_size
        if self.at_work:
            return 0  # the pipe is the thread's
        if size:
            self.pipe.out_size = 0
            if soon:
                self.put_soon(<char*>self.pipe.out, size)
            else:
                self.put(<char*>self.pipe.out, size)
        return_out(&self.pipe)
        return 0

    cdef int end_writing(self) except -1:
        if self.fd >= 0 and not self.shaking and not self.broken:
            ERR_clear_error()
            SSL_shutdown(self.ssl)
            self.push(False)
        return Stream.end_writing(self)

    # --- what came of it ------------------------------------------------------------------------------------------

    @property
    def version(self):
        """Such as TLSv1.3."""
        return (<bytes>SSL_get_version(self.ssl)).decode()

    @property
    def cipher(self):
        """As OpenSSL names it."""
        return (<bytes>SSL_get_cipher_name(self.ssl)).decode()

    @property
    def resumed(self):
        """Whether an earlier session's keys were used."""
        return SSL_session_reused(self.ssl) == 1

    cdef bytes peer_end_point(self):
        """What SCRAM can be bound to at this end: the other end's tls-server-end-point (RFC 5929)."""
        cdef X509* certificate = SSL_get1_peer_certificate(self.ssl)
        cdef bytes found = end_point_of(certificate)
        X509_free(certificate)
        return found

    cdef frozenset peer_names(self):
        """The names in the other end's certificate; None if it has shown none."""
        cdef X509* certificate = SSL_get1_peer_certificate(self.ssl)
        cdef frozenset found = None
        if certificate != NULL:
            found = names_of(certificate)
            X509_free(certificate)
        return found

    @property
    def protocol(self):
        """What ALPN has chosen, b"" if nothing."""
        cdef const unsigned char* data = NULL
        cdef unsigned int size = 0
        SSL_get0_alpn_selected(self.ssl, &data, &size)
        return PyBytes_FromStringAndSize(<char*>data, size) if size else b""


cdef TlsStream secure(Stream plain, TlsContext tls, Handshakes handshakes, str host, const char* early, size_t size):
    """The same connection, encrypted from here on; `plain` is closed by it. `early`: what was read of it already.

    The owner is told by `secured` or `insecure`, never within this call.
    """
    cdef TlsStream made = TlsStream.__new__(TlsStream)
    cdef BIO* bio
    made.tls = tls
    made.handshakes = handshakes
    made.turn = Turn()
    made.turn.stream = made
    made.pipe.fd = -1
    made.shaking = True
    put_early(&made.pipe, early, size)
    ERR_clear_error()
    made.ssl = SSL_new(tls.ctx)
    bio = new_bio(&made.pipe)
    if made.ssl == NULL or bio == NULL:
        raise MemoryError
    SSL_set_bio(made.ssl, bio, bio)
    made.job.ssl = made.keeper.ssl = made.ssl
    if tls.accepts:
        SSL_set_accept_state(made.ssl)
    else:
        SSL_set_connect_state(made.ssl)
        name_host(made, host)
    plain.hand_over(made)
    made.may_read = True
    made.loop.again(made, EPOLLIN)
    return made


cdef int name_host(TlsStream stream, str host) except -1:
    """Whose certificate is expected; a name is told to the other end, too (SNI), an address is not (RFC 6066).

    ValueError for a host that no certificate could be checked against: rather no connection than an unchecked one.
    """
    cdef bytes name = b""
    cdef bint is_address = True
    try:
        name = str(ipaddress.ip_address(host.strip("[]").partition("%")[0])).encode()
    except ValueError:
        is_address = False
    if not is_address and host and not host.startswith("/"):
        name = as_dns_name(host)
        SSL_set_tlsext_host_name(stream.ssl, name)
    if stream.tls.checks_host:
        if is_address:
            if X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(stream.ssl), name) != 1:
                raise ValueError(f"no certificate can be checked for the address {host}")
        elif not name or SSL_set1_host(stream.ssl, name) != 1:
            raise ValueError(f"no certificate can be checked for the host {host!r}")
        SSL_set_hostflags(stream.ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS)
    return 0


cdef bytes as_dns_name(str host):
    """As name resolution has it. ValueError for what is none."""
    if all([label.isdigit() or not label for label in host.split(".")]):
        raise ValueError(f"host {host!r} is an address that is not written in full")
    try:
        return host.encode("ascii") if host.isascii() else host.encode("idna")
    except UnicodeError:
        raise ValueError(f"host {host!r} is no name") from None
