"""Which encrypted connections keep OpenSSL's buffers from one message to the next.

Owns the places for those that do. Refuses to read and write (`tls` does), and to hold more than PLACES pairs of buffers.

A connection that waits needs no buffers, and with SSL_MODE_RELEASE_BUFFERS OpenSSL has none for it: 33 KB that a
thousand idle functions do not cost. But it makes and frees them anew for each message, and 16 KB is what malloc is slow
at: some 5 % of a transaction. So the connections that were last in use keep theirs.

A place is given by the second-chance rule: a hand goes round; whoever was in use since it last came by is passed over
once. It looks at no more than STEPS places, so that one use never costs a whole round.
"""

from libc.string cimport strcmp

from tidegate.engine.openssl cimport (
    SSL, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER, SSL_MODE_RELEASE_BUFFERS, SSL_clear_mode, SSL_free_buffers,
    SSL_has_pending, SSL_rstate_string, SSL_set_mode,
)

cdef enum:
    PLACES = 256  # 8.4 MB if all are taken
    STEPS = 4

cdef Keeper* places[PLACES]
cdef unsigned int hand = 0
cdef unsigned int count = 0


cdef void use_buffers(Keeper* keeper) noexcept:
    """This connection reads, or writes."""
    keeper.recent = True
    if not keeper.placed:
        take_place(keeper)


cdef void take_place(Keeper* keeper) noexcept:
    global hand, count
    cdef Keeper* there = places[hand]
    cdef int left = STEPS
    while there != NULL and there.recent and left:
        left -= 1
        there.recent = False
        hand = (hand + 1) % PLACES
        there = places[hand]
    if there != NULL:
        leave_place(there)
        SSL_set_mode(there.ssl, SSL_MODE_RELEASE_BUFFERS)
        if between_records(there.ssl):
            SSL_free_buffers(there.ssl)
    places[hand] = keeper
    keeper.place = hand
    keeper.placed = True
    count += 1
    hand = (hand + 1) % PLACES
    SSL_clear_mode(keeper.ssl, SSL_MODE_RELEASE_BUFFERS)
    SSL_set_mode(keeper.ssl, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER)  # newer OpenSSLs pass on what is set, not what is cleared


cdef bint between_records(SSL* ssl) noexcept:
    """Whether nothing of a record has been read that is not used up. OpenSSL before 3.0.14, 3.1.6, 3.2.2 and 3.3.1 would
    free it all the same (CVE-2024-4741); what is kept here, it frees itself at the record's end.
    """
    return not SSL_has_pending(ssl) and strcmp(SSL_rstate_string(ssl), b"RH") == 0


cdef void leave_place(Keeper* keeper) noexcept:
    """This connection ends, or another one is in use."""
    global count
    if keeper.placed:
        count -= 1
        places[keeper.place] = NULL
        keeper.placed = False


def taken():
    """How many places are taken."""
    return count
