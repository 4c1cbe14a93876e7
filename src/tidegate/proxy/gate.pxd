"""One proxy of the configuration, in one worker."""

from tidegate.engine.tls_context cimport TlsContext
from tidegate.pool.client_limit cimport ClientLimit
from tidegate.proxy.client cimport Client, Entrance
from tidegate.proxy.context cimport Context
from tidegate.proxy.keys cimport CancelKeys
from tidegate.proxy.login cimport ClientLogin
from tidegate.proxy.poolinfo cimport PoolInfo
from tidegate.proxy.target cimport Target


cdef class Listed:
    """A user of the configuration."""
    cdef object secret
    cdef list spare  # further ones, as good
    cdef object method  # that its clients are asked for


cdef class Route:
    """Where the clients of one user and database go."""
    cdef tuple key  # of the pool (`poolkeys`)
    cdef str user  # at the database
    cdef bint forced  # the user is the entry's, and so is
    cdef object credential
    cdef bint keeps_server  # session mode


cdef class Gate(Entrance):
    cdef readonly Context context
    cdef readonly object worker
    cdef readonly object exchange_keys  # auth.verifiers.ExchangeKeys, for SCRAM with whom has no verifier
    cdef readonly object proxy  # config.model.ProxyConfig
    cdef readonly Target target
    cdef readonly ClientLimit limit
    cdef readonly dict clients  # every connection by which one may come, those that have said nothing yet included
    cdef readonly bint passes_through  # users come from the database rather than from the configuration
    cdef long long most_clients
    cdef readonly TlsContext tls  # None: clients come without TLS
    cdef CancelKeys keys
    cdef dict closed_by_reason
    cdef Listed stranger  # what is asked of a user whom the configuration does not name
    cdef dict listed  # user -> Listed
    cdef dict routes  # (user, database) -> Route

    cpdef int configure(self, object proxy, Target target, ClientLimit limit) except -1
    cdef bint requires_tls(self, Client client) except -1
    cdef int admit(self, ClientLogin login) except -1
    cdef int find_role(self, ClientLogin login) except -1
    cdef bint read_again(self, ClientLogin login, double since) except -1
    cdef Listed listed_user(self, str user)
    cdef bint look_again(self, ClientLogin login) except -1
    cdef int enter(self, ClientLogin login) except -1
    cdef Route route(self, str user, str database)
    cdef int keep_credential(self, Route route, ClientLogin login) except -1
    cdef bint greet(self, ClientLogin login) except -1
    cdef int complete(self, ClientLogin login, object greeting, double idle_timeout) except -1
