"""What this package calls of OpenSSL's libssl (3.0 and later)."""

cdef extern from "openssl/ssl.h" nogil:
    ctypedef struct BIO:
        pass
    ctypedef struct BIO_METHOD:
        pass
    ctypedef struct EVP_MD:
        pass
    ctypedef struct SSL:
        pass
    ctypedef struct SSL_CTX:
        pass
    ctypedef struct SSL_METHOD:
        pass
    ctypedef struct X509:
        pass
    ctypedef struct X509_NAME:
        pass
    ctypedef struct X509_NAME_ENTRY:
        pass
    ctypedef struct ASN1_STRING:
        pass
    ctypedef struct GENERAL_NAME:
        pass
    ctypedef struct GENERAL_NAMES:
        pass
    ctypedef struct X509_VERIFY_PARAM:
        pass

    const SSL_METHOD *TLS_server_method()
    const SSL_METHOD *TLS_client_method()

    SSL_CTX *SSL_CTX_new(const SSL_METHOD *method)
    void SSL_CTX_free(SSL_CTX *ctx)
    int SSL_CTX_use_certificate_chain_file(SSL_CTX *ctx, const char *path)
    int SSL_CTX_use_PrivateKey_file(SSL_CTX *ctx, const char *path, int type)
    int SSL_CTX_check_private_key(const SSL_CTX *ctx)
    int SSL_CTX_load_verify_file(SSL_CTX *ctx, const char *path)
    int SSL_CTX_set_default_verify_paths(SSL_CTX *ctx)
    void SSL_CTX_set_verify(SSL_CTX *ctx, int mode, void *callback)
    void SSL_CTX_set_client_CA_list(SSL_CTX *ctx, void *names)
    void *SSL_load_client_CA_file(const char *path)
    int SSL_CTX_set_min_proto_version(SSL_CTX *ctx, int version)
    unsigned long SSL_CTX_set_options(SSL_CTX *ctx, unsigned long options)
    long SSL_CTX_set_mode(SSL_CTX *ctx, long mode)
    long SSL_CTX_set_session_cache_mode(SSL_CTX *ctx, long mode)
    int SSL_CTX_set_session_id_context(SSL_CTX *ctx, const unsigned char *context, unsigned int size)
    long SSL_CTX_set_tlsext_ticket_keys(SSL_CTX *ctx, void *keys, long size)
    int SSL_CTX_set_num_tickets(SSL_CTX *ctx, size_t number)
    void SSL_CTX_set_read_ahead(SSL_CTX *ctx, int yes)
    void SSL_CTX_set_alpn_select_cb(
        SSL_CTX *ctx,
        int (*choose)(SSL *ssl, const unsigned char **out, unsigned char *out_size, const unsigned char *offered,
                      unsigned int size, void *argument) noexcept nogil,
        void *argument)
    int SSL_CTX_set_alpn_protos(SSL_CTX *ctx, const unsigned char *protocols, unsigned int size)
    X509 *SSL_CTX_get0_certificate(const SSL_CTX *ctx)
    void SSL_CTX_set_default_passwd_cb(SSL_CTX *ctx, int (*ask)(char *into, int size, int writing, void *argument) noexcept nogil)

    SSL *SSL_new(SSL_CTX *ctx)
    void SSL_free(SSL *ssl)
    long SSL_set_mode(SSL *ssl, long mode)
    long SSL_clear_mode(SSL *ssl, long mode)
    int SSL_free_buffers(SSL *ssl)
    void SSL_set_bio(SSL *ssl, BIO *reading, BIO *writing)
    void SSL_set_accept_state(SSL *ssl)
    void SSL_set_connect_state(SSL *ssl)
    int SSL_do_handshake(SSL *ssl)
    int SSL_read(SSL *ssl, void *into, int size)
    int SSL_write(SSL *ssl, const void *data, int size)
    int SSL_shutdown(SSL *ssl)
    int SSL_get_error(const SSL *ssl, int result)
    void SSL_set_info_callback(SSL *ssl, void (*told)(const SSL *ssl, int where, int result) noexcept nogil)
    int SSL_CB_LOOP  # `where` of a change of state
    int SSL_has_pending(const SSL *ssl)
    int SSL_want(const SSL *ssl)
    const char *SSL_rstate_string(SSL *ssl)  # "RH": a record's header comes next
    int SSL_in_init(const SSL *ssl)
    int SSL_get_shutdown(const SSL *ssl)
    int SSL_session_reused(const SSL *ssl)
    int SSL_set_tlsext_host_name(SSL *ssl, const char *name)
    int SSL_set1_host(SSL *ssl, const char *name)
    void SSL_set_hostflags(SSL *ssl, unsigned int flags)
    X509_VERIFY_PARAM *SSL_get0_param(SSL *ssl)
    int X509_VERIFY_PARAM_set1_ip_asc(X509_VERIFY_PARAM *param, const char *address)
    long SSL_get_verify_result(const SSL *ssl)
    const char *X509_verify_cert_error_string(long code)
    const char *SSL_get_version(const SSL *ssl)
    const char *SSL_get_cipher_name(const SSL *ssl)
    void SSL_get0_alpn_selected(const SSL *ssl, const unsigned char **data, unsigned int *size)
    X509 *SSL_get1_peer_certificate(const SSL *ssl)

    enum:
        SSL_ERROR_NONE
        SSL_ERROR_WANT_READ
        SSL_READING
        SSL_RECEIVED_SHUTDOWN
        SSL_FILETYPE_PEM
        SSL_VERIFY_NONE
        SSL_VERIFY_PEER
        SSL_VERIFY_FAIL_IF_NO_PEER_CERT
        SSL_MODE_RELEASE_BUFFERS
        SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER
        SSL_SESS_CACHE_OFF
        SSL_OP_NO_RENEGOTIATION
        SSL_OP_NO_COMPRESSION
        SSL_OP_NO_TICKET
        SSL_OP_IGNORE_UNEXPECTED_EOF
        SSL_OP_CIPHER_SERVER_PREFERENCE
        SSL_TLSEXT_ERR_OK
        SSL_TLSEXT_ERR_ALERT_FATAL
        TLS1_2_VERSION
        X509_V_OK

cdef extern from "openssl/bio.h" nogil:
    enum:
        BIO_CTRL_FLUSH
        BIO_CTRL_EOF
        BIO_TYPE_SOURCE_SINK
    int BIO_get_new_index()
    BIO_METHOD *BIO_meth_new(int type, const char *name)
    int BIO_meth_set_read(BIO_METHOD *method, int (*read)(BIO *bio, char *into, int size) noexcept nogil)
    int BIO_meth_set_write(BIO_METHOD *method, int (*write)(BIO *bio, const char *data, int size) noexcept nogil)
    int BIO_meth_set_ctrl(BIO_METHOD *method, long (*ctrl)(BIO *bio, int what, long number, void *pointer) noexcept nogil)
    BIO *BIO_new(const BIO_METHOD *method)
    void BIO_set_data(BIO *bio, void *data)
    void *BIO_get_data(BIO *bio)
    void BIO_set_init(BIO *bio, int yes)
    void BIO_set_retry_read(BIO *bio)
    void BIO_clear_retry_flags(BIO *bio)

cdef extern from "openssl/x509v3.h" nogil:
    void X509_free(X509 *certificate)
    int X509_get_signature_info(X509 *certificate, int *digest, int *key, int *bits, unsigned int *flags)
    int X509_digest(const X509 *certificate, const EVP_MD *kind, unsigned char *out, unsigned int *size)
    X509_NAME *X509_get_subject_name(const X509 *certificate)
    int X509_NAME_get_index_by_NID(const X509_NAME *name, int number, int after)
    X509_NAME_ENTRY *X509_NAME_get_entry(const X509_NAME *name, int at)
    ASN1_STRING *X509_NAME_ENTRY_get_data(const X509_NAME_ENTRY *entry)
    int ASN1_STRING_to_UTF8(unsigned char **out, const ASN1_STRING *text)
    int ASN1_STRING_length(const ASN1_STRING *text)
    const unsigned char *ASN1_STRING_get0_data(const ASN1_STRING *text)
    void *X509_get_ext_d2i(const X509 *certificate, int number, int *critical, int *at)
    int sk_GENERAL_NAME_num(const GENERAL_NAMES *names)
    GENERAL_NAME *sk_GENERAL_NAME_value(const GENERAL_NAMES *names, int at)
    void *GENERAL_NAME_get0_value(const GENERAL_NAME *name, int *kind)
    void GENERAL_NAMES_free(GENERAL_NAMES *names)
    void OPENSSL_free(void *memory)
    enum:
        X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS
        NID_commonName
        NID_subject_alt_name
        GEN_EMAIL
        GEN_DNS
        GEN_URI

cdef extern from "openssl/evp.h" nogil:
    const EVP_MD *EVP_get_digestbyname(const char *name)
    const char *OBJ_nid2sn(int number)

cdef extern from "openssl/err.h" nogil:
    unsigned long ERR_peek_last_error()
    void ERR_clear_error()
    const char *ERR_reason_error_string(unsigned long code)
