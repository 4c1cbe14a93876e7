/* An io_uring that sends: several sockets' bytes handed to the kernel in one call. See outbox.pyx.
 *
 * Owns the two rings that are shared with the kernel (io_uring_setup(2), io_uring_enter(2)) and the order of memory
 * accesses to them. Refuses anything but send without waiting: each request ends within the call that submits it, in
 * the calling thread, so that nothing is in flight between two calls.
 */
#ifndef TIDEGATE_RING_H
#define TIDEGATE_RING_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/io_uring.h>

struct ring {
    int fd; /* -1: there is none */
    uint8_t *rings;
    size_t rings_size;
    struct io_uring_sqe *requests;
    size_t requests_size;
    unsigned tail; /* of what has been filled in; the kernel is told at ring_submit */
    unsigned mask;
    unsigned *sq_tail;
    unsigned *cq_head;
    unsigned *cq_tail;
    unsigned cq_mask;
    struct io_uring_cqe *completions;
};

static void ring_close(struct ring *ring) {
    if (ring->rings != NULL)
        munmap(ring->rings, ring->rings_size);
    if (ring->requests != NULL)
        munmap(ring->requests, ring->requests_size);
    if (ring->fd >= 0)
        close(ring->fd);
    memset(ring, 0, sizeof *ring);
    ring->fd = -1;
}

#if defined(__NR_io_uring_setup) && defined(IORING_SETUP_SUBMIT_ALL)

/* 0, or an errno: ENOSYS (old kernel), EPERM (forbidden by a seccomp filter or kernel.io_uring_disabled), ENOMEM... */
static int ring_open(struct ring *ring, unsigned entries) {
    struct io_uring_params params;
    void *at;
    unsigned *array;

    memset(ring, 0, sizeof *ring);
    memset(&params, 0, sizeof params);
    params.flags = IORING_SETUP_SUBMIT_ALL; /* Linux 5.18: one bad request does not keep those behind it */
    ring->fd = (int)syscall(__NR_io_uring_setup, entries, &params);
    if (ring->fd < 0)
        return errno;
    if (!(params.features & IORING_FEAT_SINGLE_MMAP)) {
        ring_close(ring);
        return ENOSYS;
    }
    ring->rings_size = params.sq_off.array + params.sq_entries * sizeof(unsigned);
    if (params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe) > ring->rings_size)
        ring->rings_size = params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe);
    at = mmap(NULL, ring->rings_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->fd, IORING_OFF_SQ_RING);
    if (at != MAP_FAILED) {
        ring->rings = at;
        ring->requests_size = params.sq_entries * sizeof(struct io_uring_sqe);
        at = mmap(NULL, ring->requests_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, ring->fd,
                  IORING_OFF_SQES);
    }
    if (at == MAP_FAILED) {
        int error = errno;
        ring_close(ring);
        return error;
    }
    ring->requests = at;
    ring->mask = *(unsigned *)(ring->rings + params.sq_off.ring_mask);
    ring->sq_tail = (unsigned *)(ring->rings + params.sq_off.tail);
    ring->tail = *ring->sq_tail;
    ring->cq_head = (unsigned *)(ring->rings + params.cq_off.head);
    ring->cq_tail = (unsigned *)(ring->rings + params.cq_off.tail);
    ring->cq_mask = *(unsigned *)(ring->rings + params.cq_off.ring_mask);
    ring->completions = (struct io_uring_cqe *)(ring->rings + params.cq_off.cqes);
    array = (unsigned *)(ring->rings + params.sq_off.array);
    for (unsigned i = 0; i < params.sq_entries; i++)
        array[i] = i;
    return 0;
}

/* Fill in one more request; at most as many as the ring was opened for, between two calls of ring_submit. */
static void ring_send(struct ring *ring, int fd, const void *data, size_t size, unsigned number) {
    struct io_uring_sqe *request = &ring->requests[ring->tail & ring->mask];
    memset(request, 0, sizeof *request);
    request->opcode = IORING_OP_SEND;
    request->fd = fd;
    request->addr = (uint64_t)(uintptr_t)data;
    request->len = (uint32_t)size;
    request->msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL;
    request->user_data = number;
    ring->tail++;
}

/* Send what was filled in since the last call. results[number]: bytes sent, or a negative errno; entries of requests
 * that the kernel did not take are left alone. 0, or an errno: then the ring must not be used again. */
static int ring_submit(struct ring *ring, unsigned count, int32_t *results) {
    unsigned submitted = 0, completed = 0, head, tail;

    __atomic_store_n(ring->sq_tail, ring->tail, __ATOMIC_RELEASE);
    while (completed < count) {
        int taken = (int)syscall(__NR_io_uring_enter, ring->fd, count - submitted, count - completed,
                                 IORING_ENTER_GETEVENTS, NULL, 0);
        if (taken < 0 && errno != EINTR)
            return errno;
        if (taken > 0)
            submitted += (unsigned)taken;
        head = *ring->cq_head;
        tail = __atomic_load_n(ring->cq_tail, __ATOMIC_ACQUIRE);
        for (; head != tail; head++, completed++) {
            struct io_uring_cqe *completion = &ring->completions[head & ring->cq_mask];
            if (completion->user_data < count)
                results[completion->user_data] = completion->res;
        }
        __atomic_store_n(ring->cq_head, head, __ATOMIC_RELEASE);
    }
    return 0;
}

#else /* headers of an older kernel: there is never a ring */

static int ring_open(struct ring *ring, unsigned entries) {
    (void)entries;
    memset(ring, 0, sizeof *ring);
    ring->fd = -1;
    return ENOSYS;
}

static void ring_send(struct ring *ring, int fd, const void *data, size_t size, unsigned number) {
    (void)ring, (void)fd, (void)data, (void)size, (void)number;
}

static int ring_submit(struct ring *ring, unsigned count, int32_t *results) {
    (void)ring, (void)count, (void)results;
    return ENOSYS;
}

#endif
#endif
