"""Names that stand for hidden changes, and a fast look-up; see names.pyx."""


cdef class Effect:
    cdef readonly tuple touched  # names of settings, sorted
    cdef readonly object pin  # PinReason, or None
    cdef readonly unsigned int flags  # ScanFlag bits


cdef struct NameSlot:
    unsigned long long hash
    int index  # into NameSet.effects, counted from 1; 0: free


cdef class NameSet:
    cdef NameSlot *slots
    cdef Py_ssize_t mask
    cdef readonly Py_ssize_t count
    cdef list effects
    cdef readonly tuple symbols  # pairs of operator and Effect
    cdef readonly Effect always  # of every statement, or None
    cdef readonly Effect on_ddl  # of every statement that changes the catalogue, or None
    cdef readonly Effect foreign  # of identifiers that are not plain ASCII, or None
    cdef readonly bint empty
    cdef readonly frozenset settings  # that any of all these effects touches
    cdef readonly unsigned int flags  # of all these effects

    cdef int add(self, unsigned long long h, int index) except -1
    cdef Effect find(self, const unsigned char *word, int n)


cdef unsigned long long hash_name(const unsigned char *word, Py_ssize_t n) noexcept
