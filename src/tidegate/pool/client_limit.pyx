"""How many clients each proxy has over all workers, in shared memory, and whether one more may come.

Owns the memory's layout and the one rule: never more clients than the limit, never a refusal below it, whichever
workers they are on. Refuses to know the limit (each caller brings the one that is configured), who the clients are, and
to make the memory: the supervisor maps a memfd, and each process passes its own mapping as a writable buffer.

Layout (version 1; native byte order):

    Header     64 bytes   magic, version, number of proxies, workers
    per proxy:
      Lock     64 bytes   robust mutex, shared by processes
      Cell     64 bytes   x workers: clients that are let in; written by its worker alone

The sum of the cells is the truth; there is no total beside them that could disagree. Only coming in takes the lock, so
that two workers don't both take the last place; leaving is one store of a smaller number. A reader that adds cells up
while others shrink sees at least what is there at the end and at most what was there at the start, so both a yes and a
no were right at some moment of the call.

A crash leaves nothing to repair but its own cell, which the supervisor clears before the worker's number is given away
again: each cell is whole at every instruction, and the kernel opens the lock of a holder that died (get_robust_list(2)).
The lock is held for as many loads as there are workers. Uncontended, letting a client in costs about 50 ns.
"""

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint32_t, uintptr_t

from tidegate.pool.slot_table cimport LINE, WORKER_LIMIT, tg_load, tg_store

cdef extern from *:
    """
    #include <errno.h>
    #include <pthread.h>
    _Static_assert(sizeof(pthread_mutex_t) <= 64, "a mutex must fit its cache line");
    static int tg_make_lock(pthread_mutex_t *lock)
    {
        pthread_mutexattr_t how;
        int error = pthread_mutexattr_init(&how);
        if (error) return error;
        error = pthread_mutexattr_setpshared(&how, PTHREAD_PROCESS_SHARED);
        if (!error) error = pthread_mutexattr_setrobust(&how, PTHREAD_MUTEX_ROBUST);
        if (!error) error = pthread_mutex_init(lock, &how);
        pthread_mutexattr_destroy(&how);
        return error;
    }
    static int tg_lock(pthread_mutex_t *lock)
    {
        int error = pthread_mutex_lock(lock);
        return error == EOWNERDEAD ? pthread_mutex_consistent(lock) : error; /* a cell is never half written */
    }
    """
    ctypedef struct pthread_mutex_t:
        pass
    int tg_make_lock(pthread_mutex_t *lock) noexcept nogil
    int tg_lock(pthread_mutex_t *lock) noexcept nogil
    int pthread_mutex_unlock(pthread_mutex_t *lock) noexcept nogil

cdef enum:
    MAGIC = 0x5447434C  # "TGCL"
    VERSION = 1
    PROXY_LIMIT = 4096

MAX_PROXIES = PROXY_LIMIT

cdef struct Header:
    uint32_t magic
    uint32_t version
    uint32_t proxies
    uint32_t workers
    uint32_t unused[12]


def clients_size(int proxies, int workers):
    """Bytes that a region of this shape takes; ValueError outside 1..MAX_*."""
    for name, value, most in (("proxies", proxies, PROXY_LIMIT), ("workers", workers, WORKER_LIMIT)):
        if not 1 <= value <= most:
            raise ValueError(f"{name} must be 1 to {most}, not {value}")
    return sizeof(Header) + proxies * section_size(workers)


def format_clients(memory, int proxies, int workers):
    """Write a fresh region (all zeros) before any process counts in it. OSError if the system has no such locks."""
    cdef Py_buffer view
    cdef Header *header
    cdef int proxy, error
    needed = clients_size(proxies, workers)
    PyObject_GetBuffer(memory, &view, PyBUF_WRITABLE)
    try:
        if <size_t>view.len < <size_t>needed:
            raise ValueError(f"counts of this shape need {needed} bytes, the memory has {view.len}")
        header = <Header *>view.buf
        header.version = VERSION
        header.proxies = proxies
        header.workers = workers
        for proxy in range(proxies):
            error = tg_make_lock(<pthread_mutex_t *>(<char *>view.buf + sizeof(Header) + proxy * section_size(workers)))
            if error:
                raise OSError(error, "cannot make a lock that processes share")
        tg_store(&header.magic, MAGIC)
    finally:
        PyBuffer_Release(&view)


cdef inline size_t section_size(size_t workers) noexcept:
    """Bytes of one proxy's section."""
    return LINE * (1 + workers)


cdef Header *read_header(Py_buffer *view) except NULL:
    """The header at the start of a region; ValueError if it is not one, or not all there."""
    cdef Header *header = <Header *>view.buf
    if <uintptr_t>view.buf % LINE or <size_t>view.len < sizeof(Header):
        raise ValueError("the clients' memory must be aligned to 64 bytes and hold its header")
    if tg_load(&header.magic) != MAGIC or header.version != VERSION:
        raise ValueError("this memory holds no counts of clients of layout version 1")
    if <size_t>view.len < <size_t>clients_size(header.proxies, header.workers):
        raise ValueError("the clients' memory is shorter than its header says")
    return header


cdef class ClientLimit:
    """One proxy's clients as one worker counts them. Each admit() that says yes is to be followed by one leave()."""

    def __cinit__(self, memory, int proxy, int worker):
        cdef Py_buffer view
        cdef Header *header
        PyObject_GetBuffer(memory, &view, PyBUF_WRITABLE)
        try:
            header = read_header(&view)
            if not 0 <= proxy < <int>header.proxies:
                raise ValueError(f"no proxy {proxy} in counts of {header.proxies}")
            if not 0 <= worker < <int>header.workers:
                raise ValueError(f"no worker {worker} in counts of {header.workers}")
            self.memory = memoryview(memory)  # keeps the mapping open
            self.workers = header.workers
            self.cells = <char *>view.buf + sizeof(Header) + proxy * section_size(header.workers)
        finally:
            PyBuffer_Release(&view)
        self.lock = self.cells
        self.cells += LINE
        self.proxy = proxy
        self.worker = worker

    cdef uint32_t *cell(self, int worker) noexcept:
        return <uint32_t *>(self.cells + worker * LINE)

    cdef long long sum(self) noexcept:
        cdef long long found = 0
        cdef int at
        for at in range(self.workers):
            found += tg_load(self.cell(at))
        return found

    cpdef bint admit(self, long long most) except -1:
        """Count one more client of this worker if there are fewer than `most` over all workers; whether there were.

        OSError if the lock cannot be used, which means that the memory was overwritten.
        """
        cdef uint32_t *mine = self.cell(self.worker)
        cdef bint room
        cdef int error = tg_lock(<pthread_mutex_t *>self.lock)
        if error:
            raise OSError(error, "the lock of the clients' count is broken")
        room = self.sum() < most
        if room:
            tg_store(mine, tg_load(mine) + 1)
        pthread_mutex_unlock(<pthread_mutex_t *>self.lock)
        return room

    cpdef int leave(self) except -1:
        """A client of this worker has gone. ValueError if it has none."""
        cdef uint32_t *mine = self.cell(self.worker)
        cdef uint32_t here = tg_load(mine)
        if here == 0:
            raise ValueError(f"worker {self.worker} has no client of proxy {self.proxy}")
        tg_store(mine, here - 1)
        return 0

    def here(self):
        """Clients of this worker."""
        return tg_load(self.cell(self.worker))

    def everywhere(self):
        """Clients over all workers."""
        return self.sum()

    def forget(self):
        """The supervisor's part after this worker's death, before its number is given to another."""
        tg_store(self.cell(self.worker), 0)
