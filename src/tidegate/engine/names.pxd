"""The names in a certificate."""

from tidegate.engine.openssl cimport X509


cdef frozenset names_of(const X509* certificate)
