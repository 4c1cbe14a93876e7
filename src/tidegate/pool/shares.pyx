"""Fair shares of a number of things among workers: the arithmetic of max-min fairness.

Owns the levels up to which everybody's wish can be met. Refuses to know what is shared, and to divide by anything but
what it is given: workers are compared by number only to break ties.
"""


cdef int met(int *demand, int workers, int level) noexcept:
    """Slots handed out when every demand is met up to level; saturates rather than overflows."""
    cdef long long total = 0
    cdef int at
    for at in range(workers):
        total += min(demand[at], level)
    return <int>min(total, <long long>0x7FFFFFFF)


cdef int share_level(int *demand, int workers, int room) noexcept:
    """The highest level (at most room) at which all demands together fit into room; by bisection."""
    cdef int low = 0
    cdef int high = max(0, room)
    cdef int middle
    while low < high:
        middle = low + (high - low + 1) // 2
        if met(demand, workers, middle) <= room:
            low = middle
        else:
            high = middle - 1
    return low


cdef int clamp(int value, int least, int most) noexcept:
    return most if value > most else max(value, least)


cdef long long clamped(int level, int *least, int *most, int workers) noexcept:
    """What is handed out when everybody gets `level`, but not below its least nor above its most."""
    cdef long long total = 0
    cdef int at
    for at in range(workers):
        total += clamp(level, least[at] if least != NULL else 0, most[at])
    return total


cdef int spread(int *least, int *most, int workers, int room, int worker) noexcept:
    """One worker's part when `room` is spread as evenly as everybody's least and most allow.

    What cannot be divided goes to the lowest numbers that can take one more. `least` may be NULL: 0 for all. The parts
    together are `room` if that lies between the sums of least and most.
    """
    cdef int low = 0
    cdef int high = max(0, room)
    cdef int middle, at, floor
    cdef long long over
    while low < high:
        middle = low + (high - low + 1) // 2
        if clamped(middle, least, most, workers) <= room:
            low = middle
        else:
            high = middle - 1
    over = room - clamped(low, least, most, workers)
    for at in range(worker + 1):
        floor = least[at] if least != NULL else 0
        if over > 0 and floor <= low < most[at]:
            over -= 1
            if at == worker:
                return low + 1
    return clamp(low, least[worker] if least != NULL else 0, most[worker])


cdef void weigh(Shares *shares, int workers, int room, int worker) noexcept:
    """Work out level, surpluses and the need of all but `worker` from held, waiting and demand; `room` is shared."""
    cdef int at, most
    shares.level = share_level(shares.demand, workers, room)
    shares.spare = room - met(shares.demand, workers, shares.level)
    shares.need = shares.beyond = 0
    for at in range(workers):
        most = min(shares.demand[at], shares.level)
        shares.surplus[at] = max(0, shares.held[at] - most)
        if shares.surplus[at] and shares.demand[at] > most and shares.beyond < shares.spare:
            # What the level cannot share out evenly stays where it is, or it would move to and fro for ever.
            shares.surplus[at] -= 1
            shares.beyond += 1
        if at != worker:
            most = min(shares.demand[at], max(1, shares.level))
            shares.need += max(0, min(shares.waiting[at], most - shares.held[at]))


cdef int surplus_before(Shares *shares, int workers, int worker) noexcept:
    """Surplus of the workers that give before this one: those with more, and of equals the lower number."""
    cdef int mine = shares.surplus[worker]
    cdef int total = 0
    cdef int at
    for at in range(workers):
        if shares.surplus[at] > mine or (shares.surplus[at] == mine and at < worker):
            total += shares.surplus[at]
    return total


cdef int fair_most(Shares *shares, int worker) noexcept:
    """Most that a worker may hold while others are in need."""
    return min(shares.level + (shares.spare > shares.beyond), max(shares.demand[worker], 1))
