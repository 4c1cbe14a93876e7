"""What a logged-in client's messages mean, and what goes to its server for each.

Owns the framing and the way of each message (pass on, answer here, drop, wait for a server). Refuses to know what is
prepared (`prepared`), to read replies (`server`) and SQL (`simple`, `session.scanner`).
"""

from libc.string cimport memset

from tidegate.proxy.client cimport DISCARD, PASS, RUNNING, SCAN
from tidegate.proxy.context cimport HIGH_WATER, INSPECTED
from tidegate.proxy.login cimport ClientLogin
from tidegate.proxy.outcome cimport DONE, STOP
from tidegate.proxy.sequences cimport read_sequences
from tidegate.proxy.server cimport Server
from tidegate.proxy.sql_prepared cimport SqlPrepared
from tidegate.proxy.subscription cimport mark_behind
from tidegate.proxy.watching cimport UNKNOWN
from tidegate.session.facts cimport NAMES, READS_SEQUENCES, Facts
from tidegate.session.scanner cimport Scanner
from tidegate.wire.postgres.integers cimport get32
from tidegate.wire.postgres.messages cimport HEADER, LARGEST, ready_for_query
from tidegate.wire.postgres.replies cimport COPY_END, FORWARD, QUERY, SYNC
from tidegate.errors import CloseReason, PgError, Sqlstate
from tidegate.session.candidates import custom_names
from tidegate.session.pins import PinReason

cdef bytes IDLE = ready_for_query(b'I')
cdef object CLIENT_LEFT = CloseReason.CLIENT_LEFT

cdef enum:
    LARGEST_SMALL = 10000  # bytes that a message of a SMALL kind may announce, as with PostgreSQL
    NAMES_WITHIN = 65536  # bytes of a long message in which its names must end

# Functions of pg_proc.dat that libpq and its kin call by OID: lo_open, lo_close, loread, lowrite, lo_lseek, lo_creat,
# lo_tell, lo_unlink, lo_create, lo_truncate, and those for 64 bits.
cdef frozenset LARGE_OBJECTS = frozenset((952, 953, 954, 955, 956, 957, 958, 964, 715, 1004, 3170, 3171, 3172))

cdef unsigned char SMALL[256]
memset(SMALL, 0, sizeof(SMALL))
SMALL[<int>b'C'] = SMALL[<int>b'D'] = SMALL[<int>b'E'] = SMALL[<int>b'H'] = 1
SMALL[<int>b'S'] = SMALL[<int>b'X'] = SMALL[<int>b'c'] = SMALL[<int>b'f'] = 1

cdef unsigned char KNOWN[256]
memset(KNOWN, 0, sizeof(KNOWN))
cdef int known_kind
for known_kind in (81, 80, 66, 68, 69, 67, 70, 83, 72, 88, 100, 99, 102):  # QPBDECFSHXdcf
    KNOWN[known_kind] = 1


cdef class Relay(SqlPrepared):
    cdef Py_ssize_t process(self, const char* data, Py_ssize_t size) except -1:
        cdef Py_ssize_t pos = 0, length, whole, available
        cdef int type
        cdef ClientLogin login = <ClientLogin>self.login  # a reference of its own: the client lets go of it at its end
        if login is not None:
            pos = login.take(data, size)
            login = None
            if self.phase != RUNNING:
                return pos
        if self.server is not None and self.server.tunnel:
            self.server.send(data + pos, size - pos)
            return size
        while pos < size:
            if self.body_left:
                pos += self.continue_body(data + pos, size - pos)
                continue
            type = <unsigned char>data[pos]
            if not KNOWN[type]:
                raise PgError(f"invalid frontend message type {type}", Sqlstate.PROTOCOL_VIOLATION, "FATAL")
            if size - pos < HEADER:
                break
            length = get32(data + pos + 1)
            if length < 4 or length > LARGEST or (length > LARGEST_SMALL and SMALL[type]):
                raise PgError(f"invalid message length {length}", Sqlstate.PROTOCOL_VIOLATION, "FATAL")
            whole = length + 1
            available = min(whole, size - pos)
            if available < whole and type != b'd' and (whole <= INSPECTED or available < NAMES_WITHIN):
                break
            self.input_end = data + size
            if self.request(type, data + pos, whole, available) == STOP:
                break
            pos += available
            self.body_left += whole - available
            if self.server is not None and self.server.stream.out_len > HIGH_WATER:
                self.slow_server = True
        if self.phase == RUNNING and self.body_left == 0 and self.server is not None:
            self.maybe_release()
        return pos

    cdef Py_ssize_t continue_body(self, const char* data, Py_ssize_t size) except -1:
        """More of a message that is dealt with in pieces."""
        cdef Py_ssize_t take = min(size, self.body_left)
        self.body_left -= take
        if self.body_mode == SCAN:
            # The last byte is the NUL behind the text.
            (<Scanner>self.scanner).feed(data, take if self.body_left else take - 1)
        if self.body_mode != DISCARD and self.server is not None:
            self.server.send(data, take)
            if self.server.stream.out_len > HIGH_WATER:
                self.slow_server = True
        if self.body_mode == SCAN and self.body_left == 0:
            self.scanned((<Scanner>self.scanner).finish())
            self.scanner = None
        return take

    cdef int scanned(self, Facts facts) except -1:
        """A Query was passed on in pieces, and this is what it was."""
        if facts.flags & NAMES:
            # Its PREPAREs are known to this server alone, and by the client's names.
            self.pin_down(PinReason.OVERSIZED_STATEMENT, b"")
        if self.wary or self.catalogue.changing:
            self.touch(UNKNOWN)
        if facts.flags & READS_SEQUENCES:
            read_sequences(self, facts)
        self.make_wary(facts)
        self.touch(facts)
        return mark_behind(self, facts)

    cdef int request(self, int type, const char* message, Py_ssize_t whole, Py_ssize_t available) except -1:
        """One message, of which `available` bytes of `whole` are here."""
        self.body_mode = PASS
        if (type == b'S' or type == b'H') and whole != HEADER:
            # Passed on without its body, it would make the server read the next message as that body.
            raise PgError("invalid message format", Sqlstate.PROTOCOL_VIOLATION, "FATAL")
        if type == b'X':
            self.last_words(CLIENT_LEFT)
            return STOP
        if self.ready_held:
            self.unsure = True
            return STOP
        if self.skip_to_sync:
            self.body_mode = DISCARD
            if type == b'S':
                self.skip_to_sync = False
                self.answer(IDLE)
            return DONE
        if type == b'S':
            if self.hearing is not None and self.server is not None and self.server.queue.owes_ready() and (
                    not self.server.queue.copying_in):
                self.unsure = True
                return STOP
            return self.on_sync(message)
        if type == b'd' or type == b'c' or type == b'f':
            return self.on_copy(type, message, whole, available)
        if self.server is not None and self.server.queue.skipping:
            self.body_mode = DISCARD
            return DONE
        self.flushed = type == b'H'
        if type == b'H':
            if self.server is not None:
                self.server.send(message, whole)
            return DONE
        return self.dispatch(type, message, whole, available)

    cdef int dispatch(self, int type, const char* message, Py_ssize_t whole, Py_ssize_t available) except -1:
        if self.server is not None and self.server.queue.copying_in:
            # Out of place; the server takes it for bad COPY data, and answers nothing else to it.
            return self.server.send(message, available)
        if self.probes and (type != b'Q' or self.defaults.values):
            # What a text means depends on settings that are being asked for, or may have to be brought back.
            self.unsure = True
            return STOP
        if self.reset_touched and self.defaults.values and self.server is not None:
            if self.server.queue.count and not self.server.queue.open_batch:
                # A reset that is on its way leads to the server's defaults: first this session's are to be brought back.
                self.unsure = True
                return STOP
        if self.hearing is not None and self.server is not None and not self.server.queue.open_batch:
            if self.server.queue.owes_replies():
                # Each transaction's end is told before the next one begins: something may have to be heard between.
                self.unsure = True
                return STOP
        if type == b'Q':
            return self.on_query(message, whole, available)
        if type == b'P':
            return self.on_parse(message, whole, available)
        if type == b'B':
            return self.on_bind(message, whole, available)
        if type == b'D':
            return self.on_describe(message, whole)
        if type == b'E':
            return self.on_execute(message, whole)
        if type == b'C':
            return self.on_close(message, whole)
        return self.on_function_call(message, available)

    cdef int on_function_call(self, const char* message, Py_ssize_t available) except -1:
        """A call by OID: what it may change is asked for, unless it only reads and writes a large object."""
        if not self.need_server():
            return STOP
        if available < HEADER + 4 or get32(message + HEADER) not in LARGE_OBJECTS:
            read_sequences(self, UNKNOWN)
            self.may_leave(PinReason.CALL, b"(a function call by OID)")
            if self.anything:
                self.touched.update(custom_names(message[:available]))
            self.disturbed = True
        self.server.send(message, available)
        return self.server.queue.push(QUERY, FORWARD, None)

    cdef int on_sync(self, const char* message) except -1:
        cdef Server server = self.server
        if server is None:
            return self.answer(IDLE)
        server.send(message, HEADER)
        self.executed = self.parsed_unnamed = False
        if self.portals is not None and server.status == b'I':
            self.portals = None  # they end with the transaction
        if server.queue.copying_in:
            return 0  # the server reads it as part of the COPY, and ignores it
        return server.queue.push(SYNC, FORWARD, None)

    cdef int on_copy(self, int type, const char* message, Py_ssize_t whole, Py_ssize_t available) except -1:
        """COPY data goes to a server that may want it; after a failed COPY it is nobody's."""
        cdef Server server = self.server
        if server is None or server.queue.count == 0 or server.queue.skipping:
            self.body_mode = DISCARD
            return DONE
        server.send(message, available)
        if type != b'd':
            server.queue.push(COPY_END, FORWARD, None)
        return DONE
