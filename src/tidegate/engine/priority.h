/* sched_setattr(2) for the calling thread, which glibc has no function for before 2.41. */
#ifndef TIDEGATE_PRIORITY_H
#define TIDEGATE_PRIORITY_H

#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The first version of the kernel's struct sched_attr, under a name that no libc has. */
struct tidegate_sched_attr {
    uint32_t size;
    uint32_t policy; /* 0: SCHED_OTHER */
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime; /* nanoseconds; of SCHED_OTHER: the slice it asks for, which kernels before 6.12 ignore */
    uint64_t deadline;
    uint64_t period;
};

/* 0, or -1 with errno set. */
static inline int tidegate_set_priority(int nice, uint64_t slice)
{
    struct tidegate_sched_attr attr = {.size = sizeof attr, .nice = nice, .runtime = slice};
    return (int)syscall(SYS_sched_setattr, 0, &attr, 0);
}

#endif
