"""Declarations of `shares`."""

from tidegate.pool.slot_table cimport WORKER_LIMIT

cdef struct Shares:  # who should hold how many, worked out anew for each decision
    int held[WORKER_LIMIT]
    int waiting[WORKER_LIMIT]
    int demand[WORKER_LIMIT]
    int surplus[WORKER_LIMIT]
    int level  # up to which all demands can be met
    int spare  # what the level leaves over, to be held one each
    int beyond  # workers that hold one of the spare
    int need  # slots that the other workers lack
    int free

cdef int met(int *demand, int workers, int level) noexcept
cdef int share_level(int *demand, int workers, int room) noexcept
cdef int spread(int *least, int *most, int workers, int room, int worker) noexcept
cdef void weigh(Shares *shares, int workers, int room, int worker) noexcept
cdef int surplus_before(Shares *shares, int workers, int worker) noexcept
cdef int fair_most(Shares *shares, int worker) noexcept
