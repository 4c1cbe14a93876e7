"""Declarations of `shares`."""

cdef int met(int *demand, int workers, int level) noexcept
cdef int share_level(int *demand, int workers, int room) noexcept
cdef int spread(int *least, int *most, int workers, int room, int worker) noexcept
