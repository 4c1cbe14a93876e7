"""Accepting clients on the listening sockets that a worker was given.

Owns a listening socket's readiness in this worker. Refuses to make or close the socket: the supervisor keeps it open,
so that clients in its backlog survive a crash of the worker.
"""

import logging

from libc.errno cimport EAGAIN, ECONNABORTED, EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM, errno
from libc.string cimport strerror

from tidegate.engine.loop cimport EPOLLIN, Handler
from tidegate.proxy.context cimport Context
from tidegate.proxy.gate cimport Gate
from tidegate.proxy.login cimport begin_login
from tidegate.proxy.relay cimport Relay
from tidegate.proxy.logs import Seldom


cdef extern from "sys/socket.h" nogil:
    enum:
        SOCK_NONBLOCK
        SOCK_CLOEXEC
    int accept4(int fd, void* address, void* size, int flags)

logger = logging.getLogger(__name__)

PAUSE = 0.1  # seconds without accepting, when the process has no descriptors left
SHORT_OF = Seldom(logging.ERROR, lines=1, period=10.0)

cdef enum:
    ACCEPTS_A_TURN = 64


cdef class Listener(Handler):
    """One listening socket of one gate."""
    cdef readonly Context context
    cdef readonly Gate gate

    def __init__(self, Context context, Gate gate, int fd):
        self.context = context
        self.gate = gate
        self.fd = fd
        context.loop.watch(self, EPOLLIN)

    cdef int on_event(self, unsigned int events) except -1:
        cdef int fd
        for _ in range(ACCEPTS_A_TURN):
            fd = accept4(self.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)
            if fd < 0:
                if errno == EINTR or errno == ECONNABORTED:
                    continue
                if errno == EMFILE or errno == ENFILE or errno == ENOBUFS or errno == ENOMEM:
                    self.pause(strerror(errno).decode())
                elif errno != EAGAIN:
                    logger.error("cannot accept clients: %s", strerror(errno).decode())
                return 0
            self.arrived(fd)
        return 0

    cdef int on_failure(self, object error) except -1:
        logger.error("a client could not be let in", exc_info=error)
        return 0

    cdef int arrived(self, int fd) except -1:
        """A client has connected."""
        cdef Relay client = Relay.__new__(Relay)
        client.arrive(self.context, self.gate)
        client.login = begin_login(self.gate, client)
        self.context.counters.clients_accepted += 1
        self.gate.clients[client] = (
            self.context.journal.client_came(self.gate.proxy.name, fd) if self.context.verbose else None)
        client.open(fd)
        return 0

    def pause(self, lack):
        """No descriptors are left: those that wait in the backlog are served when some client has gone."""
        if SHORT_OF.due(self.context.loop.now):
            SHORT_OF.log(
                "cannot accept clients: %s; they wait until others leave. Raise the limit of open files (ulimit -n, "
                "LimitNOFILE= of a systemd unit) or lower max_client_connections", lack)
        self.context.loop.forget_descriptor(self)
        self.context.loop.call_later(PAUSE, self.resume)

    def resume(self):
        """Accept again."""
        if self.fd >= 0:
            self.context.loop.watch(self, EPOLLIN)

    def close(self):
        """Accept no more; the socket itself is the supervisor's."""
        self.context.loop.forget_descriptor(self)
        self.fd = -1
