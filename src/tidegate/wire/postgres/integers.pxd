"""Big-endian integers in place. The caller has checked that the bytes are there."""

from libc.stdint cimport uint8_t, uint32_t


cdef inline uint32_t get32(const char* p) noexcept nogil:
    cdef const uint8_t* b = <const uint8_t*>p
    return (<uint32_t>b[0] << 24) | (<uint32_t>b[1] << 16) | (<uint32_t>b[2] << 8) | b[3]


cdef inline uint32_t get16(const char* p) noexcept nogil:
    cdef const uint8_t* b = <const uint8_t*>p
    return (<uint32_t>b[0] << 8) | b[1]


cdef inline void put32(char* p, uint32_t value) noexcept nogil:
    cdef uint8_t* b = <uint8_t*>p
    b[0] = value >> 24
    b[1] = (value >> 16) & 0xff
    b[2] = (value >> 8) & 0xff
    b[3] = value & 0xff


cdef inline Py_ssize_t string_end(const char* p, Py_ssize_t size) noexcept nogil:
    """Where the NUL of a string stands that starts at p and must end within size bytes; -1 if it doesn't."""
    cdef Py_ssize_t i
    for i in range(size):
        if p[i] == 0:
            return i
    return -1
