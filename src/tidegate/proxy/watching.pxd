"""What a client's statements may change unseen."""

from tidegate.engine.flag cimport flag
from tidegate.proxy.pinning cimport Pinning
from tidegate.session.facts cimport Facts

cdef Facts UNKNOWN  # of a statement that may change anything


cdef class Watching(Pinning):
    cdef list heard  # statements of this transaction, if it may be audited
    cdef long long mark  # of the client, among all that ever came
    cdef long long stain  # this session's mark on servers where it may have set what is not known; 0: none
    cdef flag reshapes  # a statement of this transaction changes the catalogue
    cdef flag reads_sequences  # it has asked for currval() or lastval()
    cdef flag advances  # this transaction may advance a sequence
    cdef flag reads_now  # this transaction asks for such a value
    cdef flag keeps_values  # it keeps its server, for what it may ask next

    cdef int touch(self, Facts facts) except -1
    cdef int touch_bound(self, Facts facts, const char* body, Py_ssize_t size) except -1
    cdef int foresee(self, Facts facts, const char* text, Py_ssize_t size) except -1
    cdef int make_wary(self, Facts facts) except -1
    cdef int doubt(self, const char* text, Py_ssize_t size) except -1
    cdef bint judge(self) except -1
    cdef int judge_texts(self) except -1
    cdef bint is_audited(self) except -1
    cdef int audit(self) except -1
    cdef int hear(self, bytes text) except -1
