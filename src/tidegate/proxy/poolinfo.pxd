cdef class PoolInfo:
    cdef readonly object base  # session.settings.Settings that a fresh server reports, or None
    cdef readonly object initial  # what init_query sets
    cdef public double idle_session_timeout
    cdef object _interned
    cdef int _target
    cdef tuple _pool
    cdef object _tell
    cdef dict _names
    cdef object _checked
    cdef dict _by_packet
    cdef object _greetings

    cpdef based_on(self, object reported, object initial, double idle_session_timeout)
    cpdef learnt(self, object told)
    cdef _say(self, tuple checked=*)
    cdef _rebase(self, object reported, object initial, double idle_session_timeout)
    cpdef object canonical(self, dict wanted)
    cpdef learn(self, dict wanted, object values)
    cdef _keep(self, str name, bytes value, bytes canonical)
    cpdef object known_greeting(self, bytes packet)
    cpdef remember(self, bytes packet, object greeting)
    cpdef object greeting_for(self, dict wanted)
    cdef object _greeting(self, object base, object given)

cdef dict _as_text(object values)
cdef dict _as_bytes(object values)
cdef bint _is_plain(bytes value) except -1
