"""A thread that computes TLS handshakes, so that the loop never does.

Owns the thread and its queue. Refuses to read, to send, and to say what follows from an outcome.

A full handshake takes a signature: from 0.05 ms (P-256) to 1 ms (RSA 2048) in which nobody else would be served, and a
storm of functions that start brings hundreds at once. So each step is a job: what a connection has received lies in its
pipe; the thread has OpenSSL read it and write its answer; the loop is told by an eventfd, and sends. The thread never
takes the GIL.

What is busy is served before who is coming. So the thread is nice, and offers its core between the states of a
handshake: Linux does not always interrupt it for who wakes up, and the loop, the database or a client may be waiting for
just this core. It must get on, though, on a busy machine, too: else nobody comes in, and the loop waits for locks of malloc
and OpenSSL that the thread holds. Hence LOWER and OFFER_AFTER; docs/benchmarks.md has what others did.
"""

import logging
import os
import threading

from cpython.ref cimport Py_DECREF, Py_INCREF

from tidegate.engine.loop cimport monotonic
from tidegate.engine.openssl cimport (
    ERR_clear_error, ERR_peek_last_error, SSL, SSL_CB_LOOP, SSL_do_handshake, SSL_get_error, SSL_set_info_callback,
)

cdef extern from "<pthread.h>" nogil:
    int pthread_mutex_init(pthread_mutex_t* lock, void* attributes)
    int pthread_mutex_lock(pthread_mutex_t* lock)
    int pthread_mutex_unlock(pthread_mutex_t* lock)
    int pthread_mutex_destroy(pthread_mutex_t* lock)
    int pthread_cond_init(pthread_cond_t* some, void* attributes)
    int pthread_cond_wait(pthread_cond_t* some, pthread_mutex_t* lock)
    int pthread_cond_signal(pthread_cond_t* some)
    int pthread_cond_destroy(pthread_cond_t* some)

cdef extern from "<sched.h>" nogil:
    int sched_yield()

cdef extern from *:
    """
    static _Thread_local void *tidegate_offering;
    """
    void* offering "tidegate_offering"  # this thread's Offering

cdef extern from "<sys/eventfd.h>" nogil:
    int eventfd_write(int fd, unsigned long long number)

logger = logging.getLogger(__name__)

LOWER = 5  # niceness of the thread, beyond the process's

cdef double OFFER_AFTER = 2e-5  # seconds of work


cdef void offer_core(const SSL* ssl, int where, int result) noexcept nogil:
    """OpenSSL says that the handshake comes to another state."""
    cdef Offering* own = <Offering*>offering
    cdef double now
    if where & SSL_CB_LOOP:
        now = monotonic()
        if now - own.since >= OFFER_AFTER:
            own.since = now
            own.times += 1
            sched_yield()


cdef void take_step(Job* job) noexcept nogil:
    """OpenSSL's part of a job, in the thread."""
    (<Offering*>offering).since = monotonic()
    SSL_set_info_callback(job.ssl, offer_core)
    ERR_clear_error()
    job.result = SSL_get_error(job.ssl, SSL_do_handshake(job.ssl))
    job.error = ERR_peek_last_error()
    SSL_set_info_callback(job.ssl, NULL)  # the loop has nothing to offer


cdef class Shaker:
    cdef int worked(self) except -1:
        """A step of the handshake is done, or has failed."""
        raise NotImplementedError


cdef class Handshakes:
    def __cinit__(self):
        self.wake_fd = -1
        pthread_mutex_init(&self.lock, NULL)
        pthread_cond_init(&self.some, NULL)

    def __dealloc__(self):
        pthread_cond_destroy(&self.some)
        pthread_mutex_destroy(&self.lock)

    def __init__(self, Loop loop):
        self.loop = loop

    cdef int submit(self, Job* job, Shaker shaker) except -1:
        """Compute one step; `shaker.worked` is called in the loop's turn. Until then the SSL is the thread's."""
        if self.thread is None:
            self.start()
        Py_INCREF(shaker)
        job.shaker = <void*>shaker
        job.next = NULL
        pthread_mutex_lock(&self.lock)
        if self.last == NULL:
            self.first = job
        else:
            self.last.next = job
        self.last = job
        pthread_cond_signal(&self.some)
        pthread_mutex_unlock(&self.lock)
        return 0

    @property
    def offers(self):
        """How often the thread has offered its core in the midst of a step."""
        return self.offering.times

    def start(self):
        """With the first that is needed."""
        self.wake_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.watch = Watch(self.loop, self.wake_fd, self.collect)
        self.thread = threading.Thread(target=self.run, name="handshakes", daemon=True)
        self.thread.start()

    def run(self):
        """The thread."""
        try:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), os.getpriority(os.PRIO_PROCESS, 0) + LOWER)
        except OSError as error:  # a container's seccomp filter
            logger.warning("the thread of handshakes is as urgent as the loop: %s", error)
        with nogil:
            self.compute()

    cdef void compute(self) noexcept nogil:
        global offering
        cdef Job* job
        offering = &self.offering
        while True:
            pthread_mutex_lock(&self.lock)
            while self.first == NULL and not self.stopping:
                pthread_cond_wait(&self.some, &self.lock)
            if self.stopping:
                pthread_mutex_unlock(&self.lock)
                return
            job = self.first
            self.first = job.next
            if self.first == NULL:
                self.last = NULL
            pthread_mutex_unlock(&self.lock)
            take_step(job)
            pthread_mutex_lock(&self.lock)
            job.next = self.finished
            self.finished = job
            pthread_mutex_unlock(&self.lock)
            eventfd_write(self.wake_fd, 1)

    def collect(self):
        """Tell whose steps are done, in their order."""
        cdef Job* job
        cdef Job* following
        cdef list done = []
        cdef Shaker shaker
        os.eventfd_read(self.wake_fd)
        pthread_mutex_lock(&self.lock)
        job = self.finished
        self.finished = NULL
        pthread_mutex_unlock(&self.lock)
        while job != NULL:
            following = job.next
            done.append(<Shaker>job.shaker)
            Py_DECREF(<Shaker>job.shaker)
            job = following
        for each in reversed(done):
            self.steps += 1
            shaker = <Shaker>each
            try:
                shaker.worked()
            except Exception as error:
                logger.error("internal error after a step of a handshake", exc_info=error)

    def stop(self):
        """End the thread; what waits is not computed any more."""
        if self.thread is None:
            return
        pthread_mutex_lock(&self.lock)
        self.stopping = True
        pthread_cond_signal(&self.some)
        pthread_mutex_unlock(&self.lock)
        self.thread.join()
        self.watch.close()
        os.close(self.wake_fd)
        self.thread = None
