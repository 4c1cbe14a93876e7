"""The readable summary of the places: who keeps buffers."""

from tidegate.engine.openssl cimport SSL


cdef struct Keeper:
    SSL* ssl
    unsigned int place
    bint placed  # at that place
    bint recent  # in use since the hand came by


cdef void use_buffers(Keeper* keeper) noexcept
cdef void leave_place(Keeper* keeper) noexcept
