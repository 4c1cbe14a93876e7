"""What all TLS connections of one kind have in common: certificate, key, whom to trust, versions.

Owns OpenSSL's SSL_CTX and the words for what is wrong with a file. Refuses to choose settings, and connections (`tls`).

TLS 1.2 and 1.3; no renegotiation, no compression. Resumption is by tickets that any worker can read (RFC 5077, RFC 8446
section 4.6.1): their key comes from whoever makes the context, and no worker keeps sessions. ALPN is `postgresql`
(PostgreSQL documentation, "Direct SSL"): who offers other protocols only is refused.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from libc.string cimport memcmp

from tidegate.engine.openssl cimport (
    ERR_clear_error, ERR_peek_last_error, ERR_reason_error_string, EVP_MD, EVP_get_digestbyname, OBJ_nid2sn, SSL,
    SSL_CTX_check_private_key, SSL_CTX_free, SSL_CTX_get0_certificate, SSL_CTX_load_verify_file, SSL_CTX_new,
    SSL_CTX_set_alpn_protos, SSL_CTX_set_alpn_select_cb, SSL_CTX_set_client_CA_list, SSL_CTX_set_default_passwd_cb,
    SSL_CTX_set_default_verify_paths, SSL_CTX_set_min_proto_version, SSL_CTX_set_mode, SSL_CTX_set_num_tickets,
    SSL_CTX_set_options, SSL_CTX_set_read_ahead, SSL_CTX_set_session_cache_mode, SSL_CTX_set_session_id_context,
    SSL_CTX_set_tlsext_ticket_keys, SSL_CTX_set_verify, SSL_CTX_use_PrivateKey_file,
    SSL_CTX_use_certificate_chain_file, SSL_FILETYPE_PEM, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER, SSL_MODE_RELEASE_BUFFERS,
    SSL_OP_CIPHER_SERVER_PREFERENCE, SSL_OP_IGNORE_UNEXPECTED_EOF, SSL_OP_NO_COMPRESSION, SSL_OP_NO_RENEGOTIATION,
    SSL_OP_NO_TICKET, SSL_SESS_CACHE_OFF, SSL_TLSEXT_ERR_ALERT_FATAL, SSL_TLSEXT_ERR_OK,
    SSL_VERIFY_FAIL_IF_NO_PEER_CERT, SSL_VERIFY_NONE, SSL_VERIFY_PEER, SSL_load_client_CA_file, TLS1_2_VERSION,
    TLS_client_method, TLS_server_method, X509, X509_digest, X509_get_signature_info,
)

cdef enum:
    LONGEST_DIGEST = 64  # bytes
    TICKET_KEYS = 80  # bytes: name, HMAC key, AES key of OpenSSL's tickets

cdef const unsigned char* PROTOCOL = <const unsigned char*>b"\x0apostgresql"
cdef unsigned int PROTOCOL_SIZE = 11
cdef const unsigned char* SESSIONS = <const unsigned char*>b"tidegate"

TICKET_SECRET_SIZE = TICKET_KEYS


cdef str reason(unsigned long code):
    """OpenSSL's words for an error."""
    cdef const char* words = ERR_reason_error_string(code)
    return "unknown error" if words == NULL else (<bytes>words).decode("ascii", "replace")


cdef str last_reason():
    """Those for the last one, which is forgotten with it."""
    words = reason(ERR_peek_last_error())
    ERR_clear_error()
    return words


cdef int no_passphrase(char* into, int size, int writing, void* argument) noexcept nogil:
    """A server that starts by itself has nobody to ask."""
    return 0


cdef int choose_protocol(SSL* ssl, const unsigned char** out, unsigned char* out_size, const unsigned char* offered,
                         unsigned int size, void* argument) noexcept nogil:
    cdef unsigned int at = 0
    while at < size and at + 1 + offered[at] <= size:
        if offered[at] == PROTOCOL[0] and memcmp(offered + at + 1, PROTOCOL + 1, PROTOCOL[0]) == 0:
            out[0] = offered + at + 1
            out_size[0] = offered[at]
            return SSL_TLSEXT_ERR_OK
        at += 1 + offered[at]
    return SSL_TLSEXT_ERR_ALERT_FATAL


cdef bytes end_point_of(const X509* certificate):
    """RFC 5929, section 4.1: the certificate's hash, by its own signature's algorithm, but SHA-256 for MD5 and SHA-1."""
    cdef int digest = 0, key = 0, bits = 0
    cdef unsigned int flags = 0, size = 0
    cdef unsigned char found[LONGEST_DIGEST]
    cdef const EVP_MD* kind = NULL
    if certificate == NULL:
        return b""
    if X509_get_signature_info(<X509*>certificate, &digest, &key, &bits, &flags) == 1 and digest:
        name = <bytes>OBJ_nid2sn(digest)
        kind = EVP_get_digestbyname(b"SHA256" if name in (b"MD5", b"SHA1") else name)
    if kind == NULL or X509_digest(certificate, kind, found, &size) != 1:
        ERR_clear_error()
        return b""  # such as Ed25519, for which no hash is defined: no channel binding
    return PyBytes_FromStringAndSize(<char*>found, size)


cdef class TlsContext:
    def __cinit__(self):
        self.end_point = b""

    def __dealloc__(self):
        if self.ctx != NULL:
            SSL_CTX_free(self.ctx)

    def __init__(self, bint accepts):
        self.accepts = accepts
        ERR_clear_error()
        self.ctx = SSL_CTX_new(TLS_server_method() if accepts else TLS_client_method())
        if self.ctx == NULL:
            raise ValueError(f"OpenSSL makes no context: {last_reason()}")
        SSL_CTX_set_min_proto_version(self.ctx, TLS1_2_VERSION)
        SSL_CTX_set_options(self.ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF
                            | SSL_OP_CIPHER_SERVER_PREFERENCE)
        SSL_CTX_set_mode(self.ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER)
        SSL_CTX_set_session_cache_mode(self.ctx, SSL_SESS_CACHE_OFF)
        SSL_CTX_set_read_ahead(self.ctx, 1)
        SSL_CTX_set_default_passwd_cb(self.ctx, no_passphrase)

    @staticmethod
    def for_clients(str certificate, str key, str client_ca="", bint require=False, bytes ticket_secret=b""):
        """Connections that come in. `client_ca`: file of those who may sign clients' certificates, which are asked for,
        and must be there if `require`. ValueError says which file is wrong, and how.
        """
        cdef TlsContext self = TlsContext(True)
        self.use_certificate(certificate, key)
        self.end_point = end_point_of(SSL_CTX_get0_certificate(self.ctx))
        SSL_CTX_set_alpn_select_cb(self.ctx, choose_protocol, NULL)
        SSL_CTX_set_session_id_context(self.ctx, SESSIONS, 8)
        if len(ticket_secret) == TICKET_KEYS:
            SSL_CTX_set_tlsext_ticket_keys(self.ctx, PyBytes_AS_STRING(ticket_secret), TICKET_KEYS)
            SSL_CTX_set_num_tickets(self.ctx, 1)
        else:
            SSL_CTX_set_options(self.ctx, SSL_OP_NO_TICKET)
            SSL_CTX_set_num_tickets(self.ctx, 0)
        if client_ca:
            self.trust(client_ca)
            SSL_CTX_set_client_CA_list(self.ctx, SSL_load_client_CA_file(client_ca.encode()))
            SSL_CTX_set_verify(
                self.ctx, SSL_VERIFY_PEER | (SSL_VERIFY_FAIL_IF_NO_PEER_CERT if require else 0), NULL)
        return self

    @staticmethod
    def for_servers(str ca="", bint verify=False, bint check_host=False, str certificate="", str key=""):
        """Connections that go out. `verify`: only to whom `ca` (a file; "": the system's own) has signed; `check_host`:
        and who has a certificate for the host that is meant. ValueError says which file is wrong, and how.
        """
        cdef TlsContext self = TlsContext(False)
        SSL_CTX_set_alpn_protos(self.ctx, PROTOCOL, PROTOCOL_SIZE)
        self.checks_host = check_host
        if verify:
            if ca:
                self.trust(ca)
            elif SSL_CTX_set_default_verify_paths(self.ctx) != 1:
                raise ValueError(f"the system's certificate authorities cannot be read: {last_reason()}")
        SSL_CTX_set_verify(self.ctx, SSL_VERIFY_PEER if verify else SSL_VERIFY_NONE, NULL)
        if certificate:
            self.use_certificate(certificate, key)
        return self

    cdef int use_certificate(self, str certificate, str key) except -1:
        if SSL_CTX_use_certificate_chain_file(self.ctx, certificate.encode()) != 1:
            raise ValueError(f"no certificate can be read from {certificate}: {last_reason()}")
        if SSL_CTX_use_PrivateKey_file(self.ctx, key.encode(), SSL_FILETYPE_PEM) != 1:
            raise ValueError(f"no private key can be read from {key}: {last_reason()}")
        if SSL_CTX_check_private_key(self.ctx) != 1:
            raise ValueError(f"the private key in {key} does not belong to the certificate in {certificate}")
        return 0

    cdef int trust(self, str ca) except -1:
        if SSL_CTX_load_verify_file(self.ctx, ca.encode()) != 1:
            raise ValueError(f"no certificate authority can be read from {ca}: {last_reason()}")
        return 0
