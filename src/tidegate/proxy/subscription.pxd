"""A client that listens."""

from tidegate.proxy.borrowing cimport Borrowing
from tidegate.proxy.hearing cimport Hearing
from tidegate.proxy.notifications cimport SharedListener
from tidegate.proxy.server cimport Injection, Server
from tidegate.session.facts cimport LISTENS, NOTIFIES, UNLISTENS, Facts

cdef enum:
    ABOUT_CHANNELS = LISTENS | UNLISTENS | NOTIFIES

cdef enum Step:
    RESTING
    ASKING  # the server what it listens to
    JOINING  # the shared listener
    HANDING_OVER
    UNLISTENING
    WAITING_FOR_OWN  # until the shared listener has heard what this transaction has sent
    DONE


cdef class Subscription(Hearing):
    cdef Borrowing client
    cdef SharedListener listener
    cdef Step step
    cdef set arriving  # channels that the shared listener delivers from the fence on
    cdef long long fence  # its number, or 0
    cdef int known_at  # pid of the server whose notifications are told as the client's own; 0: none
    cdef Injection complete  # not None: the server had been made to listen to all channels before the transaction
    cdef list unlistened  # what the markers of this transaction stand for, by number
    cdef object mailbox  # session.mailbox.Mailbox: what can't be sent yet

    cdef int ahead(self, Facts facts) except -1
    cdef list markers(self, Facts facts)
    cdef bint is_free(self) noexcept
    cdef int told(self, Server server, list rows, object error) except -1
    cdef int hand_over(self) except -1
    cdef int unlisten(self) except -1
    cdef int unlistened_there(self, Server server, object error) except -1
    cdef int wait_for_own(self) except -1
    cdef int finish(self) except -1
    cdef int server_fenced(self) except -1
    cdef int keep_at_server(self) except -1


cdef bint adopt(Borrowing client) except -1
cdef int foresee_channels(Borrowing client, Facts facts) except -1
cdef int prepare_channels(Borrowing client, Facts facts) except -1
cdef Facts ANY_CHANNELS
cdef int mark_behind(Borrowing client, Facts facts) except -1
cdef int sender_done(Borrowing client) except -1
