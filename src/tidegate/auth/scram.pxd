"""The SCRAM-SHA-256 exchange in outline; scram.pyx explains and implements it."""

from tidegate.auth.scram_keys cimport ScramKeys
from tidegate.auth.scram_syntax cimport Cursor

cdef enum ServerState:
    EXPECT_FIRST      # nothing has come from the client
    EXPECT_FINAL      # server-first-message is sent
    VERIFIED          # the proof was right: client_key is known
    DISPROVEN         # the proof was wrong: only renew() may follow
    REFUSED           # a message was malformed; nothing more is accepted

cdef enum ClientState:
    SEND_FIRST
    AWAIT_CHALLENGE   # client-first-message is sent
    AWAIT_SIGNATURE   # client-final-message is sent
    PROVEN            # the server's signature was right
    ABANDONED

cdef class ScramServer:
    cdef readonly ScramKeys keys
    cdef ServerState state
    cdef bytes server_nonce
    cdef bytes nonce                       # client's and server's, joined
    cdef bytes end_point                   # what a client may bind to; b"": nothing is offered
    cdef bint plus                         # it has chosen to
    cdef bytes binding                     # what c= must say: base64 of the gs2 header, and of what is bound to
    cdef bytes first_bare
    cdef bytes server_first
    cdef bytes verified_client_key
    cpdef bytes first(self, bytes client_first)
    cpdef bytes final(self, bytes client_final)
    cpdef bint renew(self, ScramKeys keys)
    cdef bytes read_first(self, bytes client_first)
    cdef int read_binding(self, Cursor *cursor) except -1
    cdef bytes read_final(self, bytes client_final, unsigned char *proof)

cdef class ScramClient:
    cdef readonly ScramKeys keys           # known from the start, or derived in final()
    cdef readonly bytes client_key         # likewise
    cdef bytes password
    cdef ClientState state
    cdef bytes nonce
    cdef bytes header                      # gs2
    cdef bytes binding                     # base64 of it, and of what is bound to
    cdef bytes auth_message
    cpdef bytes first(self)
    cpdef bytes final(self, bytes server_first)
    cpdef verify(self, bytes server_final)
    cdef bytes answer(self, bytes server_first)
    cdef derive(self, bytes salt, long iterations)
