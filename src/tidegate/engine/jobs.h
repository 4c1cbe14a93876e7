/* Jobs on their way from one thread to others, and back. See handshakes.pyx.
 *
 * Owns the order of memory accesses. Refuses to wait and to lock: a thread of the lowest priority may be stopped at any
 * instruction for as long as the machine is busy, and whoever waited for its lock would wait with it.
 *
 * Out: a bounded queue that one thread fills and several empty; a place is only written again once the head has passed
 * it, so a taker that read it too late fails at its compare-and-swap. Back: a stack that several fill and one takes whole.
 */
#ifndef TIDEGATE_JOBS_H
#define TIDEGATE_JOBS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

enum { JOBS_PLACES = 1024 }; /* a power of two */

struct jobs {
    _Atomic uint64_t head; /* taken */
    _Atomic uint64_t tail; /* put */
    _Atomic(void *) places[JOBS_PLACES];
    _Atomic(void *) done; /* newest first; each begins with the pointer to the one before it */
};

/* 0 if there is no room. */
static inline int jobs_put(struct jobs *jobs, void *job) {
    uint64_t tail = atomic_load_explicit(&jobs->tail, memory_order_relaxed);
    if (tail - atomic_load_explicit(&jobs->head, memory_order_acquire) == JOBS_PLACES)
        return 0;
    atomic_store_explicit(&jobs->places[tail % JOBS_PLACES], job, memory_order_relaxed);
    atomic_store_explicit(&jobs->tail, tail + 1, memory_order_release);
    return 1;
}

/* The one that was put first; NULL if there is none. */
static inline void *jobs_take(struct jobs *jobs) {
    uint64_t head = atomic_load_explicit(&jobs->head, memory_order_relaxed);
    while (head != atomic_load_explicit(&jobs->tail, memory_order_acquire)) {
        void *job = atomic_load_explicit(&jobs->places[head % JOBS_PLACES], memory_order_relaxed);
        if (atomic_compare_exchange_weak_explicit(&jobs->head, &head, head + 1, memory_order_acq_rel,
                                                  memory_order_relaxed))
            return job;
    }
    return NULL;
}

static inline void jobs_give_back(struct jobs *jobs, void *job) {
    void *before = atomic_load_explicit(&jobs->done, memory_order_relaxed);
    do
        *(void **)job = before;
    while (!atomic_compare_exchange_weak_explicit(&jobs->done, &before, job, memory_order_release,
                                                  memory_order_relaxed));
}

/* All that were given back since, newest first. */
static inline void *jobs_collect(struct jobs *jobs) {
    return atomic_exchange_explicit(&jobs->done, NULL, memory_order_acquire);
}

static inline uint64_t jobs_taken(struct jobs *jobs) {
    return atomic_load_explicit(&jobs->head, memory_order_relaxed);
}

static inline uint64_t jobs_put_so_far(struct jobs *jobs) {
    return atomic_load_explicit(&jobs->tail, memory_order_relaxed);
}

#endif
