"""A truth value in one byte, for the classes of which there are as many as clients; Cython's `bint` has four.

A class groups its flags, and its other small values before them: C pads at each change of size.
"""

cdef extern from "<stdbool.h>":
    ctypedef bint flag "bool"
