"""The names in a certificate: its subject's common names, and the e-mail, DNS and URI names beside them (RFC 5280).

Owns reading them. Refuses to judge the certificate (OpenSSL has verified it) or to say whose names they are (`proxy`).

A name with a zero byte in it is none: it would be cut off, and stand for another (CVE-2009-4034).
"""

from cpython.bytes cimport PyBytes_FromStringAndSize

from tidegate.engine.openssl cimport (
    ASN1_STRING, ASN1_STRING_get0_data, ASN1_STRING_length, ASN1_STRING_to_UTF8, GEN_DNS, GEN_EMAIL, GEN_URI,
    GENERAL_NAME, GENERAL_NAME_get0_value, GENERAL_NAMES, GENERAL_NAMES_free, NID_commonName, NID_subject_alt_name,
    OPENSSL_free, X509, X509_NAME, X509_NAME_ENTRY_get_data, X509_NAME_get_entry, X509_NAME_get_index_by_NID,
    X509_get_ext_d2i, X509_get_subject_name, sk_GENERAL_NAME_num, sk_GENERAL_NAME_value,
)

cdef enum:
    MOST = 64  # names; who has more in one certificate is known by the first


cdef frozenset names_of(const X509* certificate):
    """As texts; what is not in UTF-8 is left out."""
    cdef list found = common_names(X509_get_subject_name(certificate))
    cdef GENERAL_NAMES* others = <GENERAL_NAMES*>X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL)
    cdef GENERAL_NAME* name
    cdef ASN1_STRING* value
    cdef int i, kind = 0
    if others != NULL:
        for i in range(min(sk_GENERAL_NAME_num(others), MOST)):
            name = sk_GENERAL_NAME_value(others, i)
            value = <ASN1_STRING*>GENERAL_NAME_get0_value(name, &kind)
            if kind == GEN_EMAIL or kind == GEN_DNS or kind == GEN_URI:
                found.append(PyBytes_FromStringAndSize(
                    <const char*>ASN1_STRING_get0_data(value), ASN1_STRING_length(value)))
        GENERAL_NAMES_free(others)
    return frozenset([text for text in map(as_text, found) if text])


cdef list common_names(X509_NAME* subject):
    cdef list found = []
    cdef unsigned char* text = NULL
    cdef int size, at = -1
    while len(found) < MOST:
        at = X509_NAME_get_index_by_NID(subject, NID_commonName, at)
        if at < 0:
            break
        size = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)))
        if size >= 0:
            found.append(PyBytes_FromStringAndSize(<char*>text, size))
            OPENSSL_free(text)
    return found


def as_text(bytes name):
    """None for what is no name."""
    if b"\0" in name:
        return None
    try:
        return name.decode()
    except UnicodeDecodeError:
        return None
