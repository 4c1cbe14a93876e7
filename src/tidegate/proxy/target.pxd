"""One database server as a worker sees it."""

from tidegate.auth.scram_keys cimport ScramKeys
from tidegate.pool.governor cimport Governor
from tidegate.pool.pool cimport Pool
from tidegate.pool.slot cimport Slot, Ticket
from tidegate.proxy.catalogue cimport Catalogues
from tidegate.proxy.client cimport Client, Door
from tidegate.proxy.context cimport Context
from tidegate.proxy.lookout cimport Lookout
from tidegate.proxy.notifications cimport Listeners
from tidegate.proxy.poolinfo cimport PoolInfo
from tidegate.proxy.resting cimport Resting
from tidegate.proxy.server cimport Server


cdef class Target(Door):
    cdef readonly Context context
    cdef readonly object worker
    cdef public object config  # TargetConfig
    cdef readonly object budget
    cdef readonly int number  # its part of the shared budget
    cdef readonly Governor governor
    cdef readonly object infos  # pool key -> PoolInfo
    cdef readonly dict proxies  # name of a shared pool -> ProxyConfig by which its clients come
    cdef readonly object startups  # dedicated pool -> Startup
    cdef readonly dict credentials  # user -> Credential
    cdef readonly set servers
    cdef readonly dict vacated  # database that is to be left alone -> until when, by the loop's clock (`vacating`)
    cdef public object address  # proxy.address.Address
    cdef public object encryption  # proxy.encryption.Encryption, or None: its connections are in clear
    cdef long long dedicated
    cdef public object last_error  # PgError of the last failed opening
    cdef double asked_at
    cdef Resting resting
    cdef Lookout lookout
    cdef readonly Catalogues catalogues
    cdef readonly Listeners listeners
    cdef bint shared  # with other workers
    cdef public int own  # connections of the proxy's own
    cdef int limit_seen  # that the governor's share of idle servers was worked out from

    cdef int lending  # clients that are being lent a server right now, each by the one before

    cpdef int resume(self, Server server) except -1
    cdef int make_harmless(self, Server server) except -1
    cpdef Pool pool(self, tuple key, object proxy)
    cpdef PoolInfo info(self, tuple key)
    cdef bint holds_keys(self, str user, ScramKeys keys, bytes client_key) except -1
    cpdef int keep_credential(self, str user, object credential) except -1
    cpdef int act(self) except -1
    cdef int lend(self, Ticket ticket, Slot slot, double now) except -1
    cdef int carry_out(self, list actions) except -1
    cdef int note_backend(self, Server server) except -1
    cdef int open_server(self, object slot) except -1
    cdef int close_server(self, object slot, object reason) except -1
    cdef int open_failed(self, Server server, object error) except -1
