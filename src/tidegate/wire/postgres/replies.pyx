"""The queue of replies that a server still owes.

Owns the pairing of requests and replies (PostgreSQL documentation, "Message Flow"). Refuses to send or to read.

How it works: each request that the proxy passes on, or slips in between, appends an entry that says which reply will
complete it and what becomes of that reply: forward, swallow, capture. A reply always belongs to the first entry. So a
Parse that a server lacks, or settings to replay, go out in the same write as the client's own messages and cost no
round trip. The rest follows from the same queue:

- An error of an extended-protocol message voids every entry up to the next Sync, as the server ignores those messages;
  if no Sync was sent yet, whatever comes before it is not worth sending (`skipping`).
- COPY FROM STDIN makes the server ignore the Syncs that were sent before the client ended the data: they
  are voided when CopyInResponse arrives, up to the mark that the client's CopyDone or CopyFail left, or any other
  message, at which the COPY fails.
- What the proxy answers itself waits in the queue for its turn, so that the client sees replies in order.
"""

from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from libc.stdlib cimport free, malloc
from libc.string cimport memset

cdef enum:
    SMALLEST = 8

# Which kinds of entry a reply completes, as a bit mask by message type; other replies complete nothing.
cdef unsigned short COMPLETES[256]
memset(COMPLETES, 0, sizeof(COMPLETES))
COMPLETES[<int>b'1'] = 1 << PARSE
COMPLETES[<int>b'2'] = 1 << BIND
COMPLETES[<int>b'3'] = 1 << CLOSE
COMPLETES[<int>b'n'] = COMPLETES[<int>b'T'] = 1 << DESCRIBE
COMPLETES[<int>b'C'] = COMPLETES[<int>b'I'] = COMPLETES[<int>b's'] = 1 << EXECUTE
COMPLETES[<int>b'Z'] = (1 << QUERY) | (1 << SYNC)

# Replies that can only be the answer to one kind of request: anything else means that queue and server disagree.
cdef unsigned short DEMANDS[256]
memset(DEMANDS, 0, sizeof(DEMANDS))
DEMANDS[<int>b'1'] = 1 << PARSE
DEMANDS[<int>b'2'] = 1 << BIND
DEMANDS[<int>b'3'] = 1 << CLOSE
DEMANDS[<int>b'n'] = DEMANDS[<int>b't'] = 1 << DESCRIBE
DEMANDS[<int>b's'] = 1 << EXECUTE
DEMANDS[<int>b'V'] = 1 << QUERY
DEMANDS[<int>b'Z'] = (1 << QUERY) | (1 << SYNC)
DEMANDS[<int>b'T'] = (1 << QUERY) | (1 << DESCRIBE)
DEMANDS[<int>b'D'] = DEMANDS[<int>b'C'] = DEMANDS[<int>b'I'] = (1 << QUERY) | (1 << EXECUTE)
DEMANDS[<int>b'G'] = DEMANDS[<int>b'H'] = DEMANDS[<int>b'W'] = (1 << QUERY) | (1 << EXECUTE)
DEMANDS[<int>b'd'] = DEMANDS[<int>b'c'] = (1 << QUERY) | (1 << EXECUTE)


class OutOfStep(Exception):
    """A server sent a reply that nothing asked for."""


cdef inline bint is_told(Expected* entry) noexcept:
    """Whether the client hears of it; else it was slipped in."""
    return entry.action != CAPTURE and entry.action != SWALLOW


cdef class ReplyQueue:
    """Entries in the order in which the server will answer; a ring that grows and never shrinks below 8."""

    def __cinit__(self):
        self.capacity = SMALLEST
        self.ring = <Expected*>malloc(SMALLEST * sizeof(Expected))
        if self.ring == NULL:
            raise MemoryError

    def __dealloc__(self):
        self.clear()
        free(self.ring)

    cdef Expected* at(self, unsigned int index) noexcept:
        """The entry `index` places behind the first; the caller knows that it is there."""
        return &self.ring[(self.first + index) & (self.capacity - 1)]

    cdef bint owes_replies(self) noexcept:
        """Whether the client has still to be told something, beside answers to what was slipped in."""
        cdef unsigned int i
        for i in range(self.count):
            if is_told(self.at(i)):
                return True
        return False

    cdef bint owes_ready(self) noexcept:
        """Whether the client has still to be told that something is over."""
        cdef unsigned int i
        cdef Expected* entry
        for i in range(self.count):
            entry = self.at(i)
            if (entry.kind == QUERY or entry.kind == SYNC) and is_told(entry):
                return True
        return False

    cdef int grow(self) except -1:
        cdef unsigned int i
        cdef Expected* larger = <Expected*>malloc(2 * self.capacity * sizeof(Expected))
        if larger == NULL:
            raise MemoryError
        for i in range(self.count):
            larger[i] = self.at(i)[0]
        free(self.ring)
        self.ring = larger
        self.capacity *= 2
        self.first = 0
        return 0

    cdef int push(self, int kind, int action, object note) except -1:
        """Expect one more reply."""
        cdef Expected* entry
        if self.count == self.capacity:
            self.grow()
        entry = self.at(self.count)
        entry.kind = <unsigned char>kind
        entry.action = <unsigned char>action
        entry.note = NULL
        if note is not None:
            Py_INCREF(note)
            entry.note = <PyObject*>note
        self.count += 1
        if kind == SYNC:
            self.skipping = self.open_batch = False
        elif kind == QUERY:
            self.open_batch = False
        elif kind < SYNC:
            self.open_batch = True
        if kind != SYNC and kind != LOCAL:
            self.copying_in = False  # whatever is neither data nor Sync ends a COPY, if only with an error
        return 0

    cdef int pop(self) except -1:
        """Remove the first entry; its note is in `finished` until the next one."""
        cdef Expected* entry = &self.ring[self.first]
        self.finished = None if entry.note == NULL else <object>entry.note
        Py_XDECREF(entry.note)
        entry.note = NULL
        self.first = (self.first + 1) & (self.capacity - 1)
        self.count -= 1
        return 0

    cdef int arrive(self, int type) except -1:
        """A reply came: returns its Action, with 16 added if it completed its entry. Raises OutOfStep."""
        cdef Expected* entry
        cdef int action
        cdef unsigned short kind
        if self.count == 0:
            raise OutOfStep(f"reply {chr(type)!r} to nothing")
        entry = &self.ring[self.first]
        kind = <unsigned short>(1 << entry.kind)
        action = entry.action
        if DEMANDS[type] and not DEMANDS[type] & kind:
            raise OutOfStep(f"reply {chr(type)!r} to a request of kind {entry.kind}")
        if COMPLETES[type] & kind:
            self.copying_in = False
            self.pop()
            return action | 16
        if type == b'G' or type == b'W':
            self.begin_copy_in()
        return action

    cdef int fail(self) except -1:
        """An ErrorResponse came for the first entry: returns its Action; `dropped` has the notes of void entries."""
        cdef Expected* entry
        cdef int action
        self.dropped = None
        self.copying_in = False
        if self.count == 0:
            raise OutOfStep("an error in answer to nothing")
        entry = &self.ring[self.first]
        action = entry.action
        if entry.kind == QUERY or entry.kind == SYNC:
            return action
        while self.count and self.ring[self.first].kind != SYNC:
            self.pop()
            if self.finished is not None:
                if self.dropped is None:
                    self.dropped = []
                self.dropped.append(self.finished)
                self.finished = None
        if self.dropped is not None:
            self.dropped.reverse()
        if self.count == 0:
            # Open still, even if a Query was voided that would have ended the batch.
            self.skipping = self.open_batch = True
        return action

    cdef int begin_copy_in(self) except -1:
        """CopyInResponse: void the Syncs that the server reads as part of the COPY."""
        cdef unsigned int kept = 1, index
        cdef bint within = True
        cdef Expected* entry
        self.dropped = None
        self.open_batch = self.ring[self.first].kind == EXECUTE
        for index in range(1, self.count):
            entry = self.at(index)
            if within and entry.kind < SYNC and self.ring[self.first].kind == QUERY:
                # The server takes the first of any other message for bad COPY data, and never answers it by itself.
                # (Behind an Execute, `fail` voids it with all the others.)
                within = False
                if entry.note != NULL:
                    self.dropped = [<object>entry.note]
                Py_XDECREF(entry.note)
                continue
            within = within and (entry.kind == SYNC or entry.kind == LOCAL)
            if within and entry.kind == SYNC:
                Py_XDECREF(entry.note)
                continue
            if entry.kind <= SYNC:
                self.open_batch = QUERY < entry.kind < SYNC
            if kept != index:
                self.at(kept)[0] = entry[0]
            kept += 1
        self.count = kept
        self.copying_in = within
        return 0

    cdef void clear(self) noexcept:
        while self.count:
            Py_XDECREF(self.ring[self.first].note)
            self.ring[self.first].note = NULL
            self.first = (self.first + 1) & (self.capacity - 1)
            self.count -= 1
        self.skipping = self.open_batch = self.copying_in = False
