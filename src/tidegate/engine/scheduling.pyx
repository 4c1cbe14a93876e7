"""How the kernel shares the CPU between a worker's threads.

Owns the two system calls. Refuses to say which thread deserves what.

Source: sched(7), sched_setattr(2). Neither needs a privilege, and either may be refused (a container's seccomp filter):
then threads compete as equals.
"""

from libc.errno cimport errno
from libc.stdint cimport int32_t, uint32_t, uint64_t
from libc.string cimport memset

cdef extern from "<sched.h>" nogil:
    struct sched_param:
        int sched_priority
    int SCHED_IDLE
    int sched_setscheduler(int thread, int policy, const sched_param* parameters)

cdef extern from "<sys/syscall.h>" nogil:
    long SYS_sched_getattr
    long SYS_sched_setattr

cdef extern from "<unistd.h>" nogil:
    long syscall(long number, ...)

cdef struct Attributes:  # the kernel's sched_attr; C libraries differ in whether they have it
    uint32_t size
    uint32_t policy
    uint64_t flags
    int32_t nice
    uint32_t priority
    uint64_t runtime  # nanoseconds
    uint64_t deadline
    uint64_t period

cdef enum:
    SHORT = 100000  # nanoseconds, the shortest that there is


def short_turns():
    """Have this thread run for a short while at a time, and so be soon: on when it wakes, before who has a longer turn.

    Its share of the CPU stays what it is. Since Linux 6.12; an earlier kernel takes no notice. Returns 0, or an errno.
    """
    cdef Attributes attributes
    memset(&attributes, 0, sizeof(attributes))
    if syscall(SYS_sched_getattr, 0, &attributes, <unsigned int>sizeof(attributes), 0) != 0:
        return errno
    attributes.size = sizeof(attributes)
    attributes.runtime = SHORT
    return errno if syscall(SYS_sched_setattr, 0, &attributes, 0) != 0 else 0


cdef int only_when_idle() noexcept nogil:
    """Have this thread run on what others leave. 0, or -1."""
    cdef sched_param parameters
    parameters.sched_priority = 0
    return sched_setscheduler(0, SCHED_IDLE, &parameters)
