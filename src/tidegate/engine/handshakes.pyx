"""Threads that compute TLS handshakes, so that the loop never does.

Owns the threads and their queue. Refuses to read, to send, and to say what follows from an outcome.

A full handshake takes a signature: from 0.05 ms (P-256) to 1 ms (RSA 2048) in which nobody else would be served, and a
storm of functions that start brings hundreds at once. So each step is a job: what a connection has received lies in its
pipe; a thread has OpenSSL read it and write its answer; the loop is told by an eventfd, and sends. No thread takes the
GIL, or a lock that the loop could want (see jobs.h).

Who is busy is served before who is coming: the first thread runs on what CPU the loop, and all others on the machine,
leave (SCHED_IDLE). On a busy machine that may be next to nothing, and nobody is to stay outside for ever: what waits for
longer than PATIENCE is for the second thread, which only comes below the loop by its niceness. The loop looks whether
any does.
"""

import logging
import os
import threading

from cpython.ref cimport Py_DECREF, Py_INCREF
from libc.stdlib cimport calloc, free

from tidegate.engine.openssl cimport ERR_clear_error, ERR_peek_last_error, SSL_do_handshake, SSL_get_error
from tidegate.engine.scheduling cimport only_when_idle

cdef extern from "<semaphore.h>" nogil:
    int sem_init(sem_t* signal, int shared, unsigned int value)
    int sem_wait(sem_t* signal)
    int sem_post(sem_t* signal)
    int sem_destroy(sem_t* signal)

cdef extern from "<sys/eventfd.h>" nogil:
    int eventfd_write(int fd, unsigned long long number)

cdef extern from "jobs.h" nogil:
    struct jobs:
        pass
    int jobs_put(jobs* jobs, void* job)
    void* jobs_take(jobs* jobs)
    void jobs_give_back(jobs* jobs, void* job)
    void* jobs_collect(jobs* jobs)
    uint64_t jobs_taken(jobs* jobs)
    uint64_t jobs_put_so_far(jobs* jobs)

logger = logging.getLogger(__name__)

LOWER = 5  # niceness of the second thread, beyond the process's
PATIENCE = 0.05  # seconds between two looks; what was there at both is late


cdef class Shaker:
    cdef int worked(self) except -1:
        """A step of the handshake is done, or has failed."""
        raise NotImplementedError


cdef class Handshakes:
    def __cinit__(self):
        self.wake_fd = -1
        self.jobs = calloc(1, sizeof(jobs))
        if self.jobs == NULL:
            raise MemoryError
        sem_init(&self.some, 0, 0)
        sem_init(&self.late, 0, 0)

    def __dealloc__(self):
        free(self.jobs)
        sem_destroy(&self.some)
        sem_destroy(&self.late)

    def __init__(self, Loop loop):
        self.loop = loop
        self.threads = []

    cdef int submit(self, Job* job, Shaker shaker) except -1:
        """Compute one step; `shaker.worked` is called in the loop's turn. Until then the SSL is the threads'."""
        if not self.threads:
            self.start()
        Py_INCREF(shaker)
        job.shaker = <void*>shaker
        job.next = NULL
        if self.first != NULL or not self.put(job):
            if self.first == NULL:
                self.first = job
            else:
                self.last.next = job
            self.last = job
        if not self.looking:
            self.look()
        return 0

    cdef int put(self, Job* job) noexcept:
        """0 if there is no room."""
        if not jobs_put(<jobs*>self.jobs, job):
            return 0
        sem_post(&self.some)
        return 1

    def look(self):
        """Have the second thread take what was there at the last look, and still is."""
        cdef uint64_t taken = jobs_taken(<jobs*>self.jobs)
        if self.looking and taken < self.seen:
            sem_post(&self.late)
        self.seen = jobs_put_so_far(<jobs*>self.jobs)
        self.looking = taken < self.seen
        if self.looking:
            self.loop.call_later(PATIENCE, self.look)

    def start(self):
        """With the first that is needed."""
        self.wake_fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.watch = Watch(self.loop, self.wake_fd, self.collect)
        for run in (self.run_first, self.run_second):
            thread = threading.Thread(target=run, name="handshakes", daemon=True)
            thread.start()
            self.threads.append(thread)

    def run_first(self):
        """The thread that computes what is to be computed."""
        with nogil:
            only_when_idle()  # not with the GIL, which a thread that gets no CPU would keep
            self.compute(&self.some, False)

    def run_second(self):
        """The thread that helps."""
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), os.getpriority(os.PRIO_PROCESS, 0) + LOWER)
        with nogil:
            self.compute(&self.late, True)

    cdef void compute(self, sem_t* signal, bint second) noexcept nogil:
        cdef Job* job
        while True:
            sem_wait(signal)
            while not self.stopping:
                job = <Job*>jobs_take(<jobs*>self.jobs)
                if job == NULL:
                    break
                self.relieved += second
                self.shake(job)
            if self.stopping:
                return

    cdef void shake(self, Job* job) noexcept nogil:
        cdef int result
        ERR_clear_error()
        result = SSL_do_handshake(job.ssl)
        job.result = SSL_get_error(job.ssl, result)
        job.error = ERR_peek_last_error()
        jobs_give_back(<jobs*>self.jobs, job)
        eventfd_write(self.wake_fd, 1)

    def collect(self):
        """Tell whose steps are done, in their order."""
        cdef Job* job
        cdef Job* following
        cdef list done = []
        cdef Shaker shaker
        os.eventfd_read(self.wake_fd)
        job = <Job*>jobs_collect(<jobs*>self.jobs)
        while job != NULL:
            following = job.next
            done.append(<Shaker>job.shaker)
            Py_DECREF(<Shaker>job.shaker)
            job = following
        while self.first != NULL:
            following = self.first.next
            if not self.put(self.first):
                break
            self.first = following
        for each in reversed(done):
            self.steps += 1
            shaker = <Shaker>each
            try:
                shaker.worked()
            except Exception as error:
                logger.error("internal error after a step of a handshake", exc_info=error)

    def stop(self):
        """End the threads; what waits is not computed any more."""
        self.stopping = True
        sem_post(&self.some)
        sem_post(&self.late)
        for thread in self.threads:
            thread.join()
        if self.threads:
            self.watch.close()
            os.close(self.wake_fd)
        self.threads = []
