"""Whether the other end of a TCP connection still takes what is sent to it.

Owns that one question to the kernel. Refuses to decide what follows from it.

TCP's own answer comes late: unacknowledged data is sent again for a quarter of an hour (tcp_retries2), and keepalive is
silent for as long. TCP_USER_TIMEOUT would be the way, but ends connections too whose other end lives and does not read
(tcp(7): "buffered data may remain untransmitted (due to zero window size)"), as a backend that waits for a lock amid a
COPY. What tells the two apart is data that was sent again and again: with a closed window there is none.
"""

from libc.string cimport memset

cdef extern from "<sys/socket.h>" nogil:
    ctypedef unsigned int socklen_t
    int getsockopt(int fd, int level, int name, void* value, socklen_t* size)

cdef extern from "<netinet/in.h>" nogil:
    int IPPROTO_TCP

cdef extern from "<netinet/tcp.h>" nogil:
    int TCP_INFO

    struct tcp_info:
        unsigned char tcpi_retransmits


def sent_in_vain(int fd):
    """How many times in a row the kernel has sent the same data again without an acknowledgement of any.

    Pauses double from 0.2 seconds or more: 7 times take 25 seconds at the least. 0 for what is no TCP socket.
    """
    cdef tcp_info info
    cdef socklen_t size = sizeof(info)
    memset(&info, 0, sizeof(info))
    if getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0:
        return 0
    return info.tcpi_retransmits
