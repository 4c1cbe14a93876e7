"""The reply queue as Python objects: tests/unit/wire/postgres/test_replies.py."""

from tidegate.wire.postgres.replies cimport (
    BIND, CAPTURE, CLOSE, COPY_END, DESCRIBE, EXECUTE, FORWARD, LOCAL, PARSE, QUERY, REPLACE, SWALLOW, SYNC, ReplyQueue,
)

KINDS = {
    "QUERY": QUERY, "PARSE": PARSE, "BIND": BIND, "DESCRIBE": DESCRIBE, "EXECUTE": EXECUTE, "CLOSE": CLOSE,
    "SYNC": SYNC, "LOCAL": LOCAL, "COPY_END": COPY_END,
}
NAMES = {number: name for name, number in KINDS.items()}
ACTIONS = {"FORWARD": FORWARD, "SWALLOW": SWALLOW, "CAPTURE": CAPTURE, "REPLACE": REPLACE}
ACTION_NAMES = {number: name for name, number in ACTIONS.items()}
COMPLETED = 16


cdef class Queue:
    """A reply queue; kinds and actions by name."""
    cdef ReplyQueue queue

    def __init__(self):
        self.queue = ReplyQueue()

    def push(self, str kind, str action="FORWARD", object note=None):
        self.queue.push(KINDS[kind], ACTIONS[action], note)

    def arrive(self, str reply):
        """(action, whether the entry is complete)."""
        cdef int answer = self.queue.arrive(ord(reply))
        return ACTION_NAMES[answer & ~COMPLETED], bool(answer & COMPLETED)

    def fail(self):
        """(action, dropped notes)."""
        cdef int action = self.queue.fail()
        dropped = self.queue.dropped
        self.queue.dropped = None
        return ACTION_NAMES[action], dropped

    def pop(self):
        """The first entry's note."""
        self.queue.pop()
        return self.finished

    def clear(self):
        self.queue.clear()

    @property
    def finished(self):
        note = self.queue.finished
        self.queue.finished = None
        return note

    @property
    def kinds(self):
        cdef unsigned int i
        return [NAMES[self.queue.at(i).kind] for i in range(self.queue.count)]

    @property
    def capacity(self):
        return self.queue.capacity

    @property
    def flags(self):
        """(skipping, open_batch, copying_in)."""
        return bool(self.queue.skipping), bool(self.queue.open_batch), bool(self.queue.copying_in)
