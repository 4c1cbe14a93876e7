cimport cython


@cython.final
cdef class Cap:
    cdef public int size
    cdef public int limit
    cdef public object part
    cdef public int held
    cdef public int closing
    cdef public int granted
    cdef public int famished
    cdef public int starving
    cdef public int short
    cdef public int more
    cdef public long counted
    cdef object __weakref__

    cpdef bint full(self)
