"""Texts that name prepared statements: the names exchanged for the server's, and the server's words turned back.

Owns the rewriting of such a text, the notes that settle its PREPAREs and DEALLOCATEs as the server answers, and the
telling of errors: a client reads its own names, and positions in its own text. Refuses to decide what a name means
(`sql_prepared`) and to find names in a text (`session.scanner`).
"""

import re

from tidegate.proxy.description cimport Description, close_copy, drop
from tidegate.proxy.prepared cimport Prepared
from tidegate.proxy.server cimport Injection, Server
from tidegate.session.facts cimport DROPS, DROPS_ALL, PREPARES, Place
from tidegate.session.statements cimport Statement
from tidegate.wire.postgres.messages cimport describe_statement
from tidegate.wire.postgres.replies cimport CAPTURE, DESCRIBE, SYNC
from tidegate.wire.postgres import messages

cdef bytes SYNC_MESSAGE = messages.SYNC
cdef object SERVER_NAME = re.compile(rb"tidegate_[0-9a-f]+")

# What a server has under a name that only has to be there: it can't fail to be prepared.
cdef bytes TAKEN = b" AS SELECT %d"

# CommandComplete of each kind of step (cmdtaglist.h).
cdef frozenset STEP_TAGS = frozenset((b"PREPARE\0", b"DEALLOCATE\0", b"DEALLOCATE ALL\0", b"DISCARD ALL\0"))


cdef inline bytes quoted(Statement statement):
    """The server's name, in quotes: what stands next to it in a client's text may be a letter."""
    return b'"' + statement.name + b'"'


cdef Statement taken(Server server, Py_ssize_t number):
    """The statement whose name stands in a PREPARE of a name that the client has already (0), or in a DEALLOCATE.

    What the client's own stands for may be impossible to prepare here by now, and need not be.
    """
    return server.context.statements.find_constant(TAKEN % number)


cdef Py_ssize_t characters(bytes text) except -1:
    """How many characters PostgreSQL counts in a text: right for UTF-8 and for encodings of one byte a character."""
    try:
        return len(text.decode("utf-8"))
    except UnicodeDecodeError:
        return len(text)


cdef bytes retold_preparing(Statement statement, bytes body):
    """An ErrorResponse to the PREPARE by which the proxy brought a statement to another server."""
    cdef Py_ssize_t ahead = len(b'PREPARE ""') + len(statement.name)
    return with_position(body, ahead, statement.lead) if statement.by_sql else body


cdef bytes with_position(bytes body, Py_ssize_t ahead, Py_ssize_t instead):
    """An ErrorResponse whose position is in a text that has `instead` characters where the client's has `ahead`."""
    cdef list fields = body.split(b"\0")
    for i, field in enumerate(fields):
        if field.startswith(b"P") and field[1:].isdigit() and int(field[1:]) > ahead:
            fields[i] = b"P%d" % (int(field[1:]) - ahead + instead)
    return b"\0".join(fields)


cdef class Renamed(Injection):
    def __cinit__(self):
        self.swaps = []
        self.steps = []
        self.executed = []

    cdef int swap(self, Place place, Statement statement) except -1:
        self.swaps.append((place, statement))
        return 0

    cdef bytes renamed(self):
        """The text for the server."""
        cdef list parts = []
        cdef Py_ssize_t at = 0
        cdef Place place
        for place, statement in self.swaps:
            parts.append(self.text[at:place.start])
            parts.append(quoted(statement))
            at = place.end
        parts.append(self.text[at:])
        return b"".join(parts)

    cdef int completed(self, Server server, bytes tag) except -1:
        """A statement of the text has ended well.

        The steps are told by their tags: how many statements there are is not known (a rule may hold several), but
        each of these says what it was, and they come in the order of the text.
        """
        if tag in STEP_TAGS and self.done < len(self.steps):
            self.take_step(server, self.steps[self.done])
            self.done += 1
        return 0

    cdef int take_step(self, Server server, tuple step) except -1:
        cdef Prepared client = self.client
        kind, name, statement = step
        if kind == DROPS_ALL:
            server.forget_statements()
            client.statements = None
        elif statement is None:
            return 0  # of a name that only the server knows
        elif kind == PREPARES:
            server.prepared[statement] = None
            client.enter_name(name, statement)
        elif kind == TAKES:
            # The server's statements were dropped unseen: by what a function did.
            server.forget_statements()
            close_copy(server, taken(server, 0))
            client.enter_name(name, statement)
        elif kind == DROPS:
            server.prepared.pop(statement, None)
            if client.statements is not None:
                client.statements.pop(name, None)
        return 0

    cdef int finished(self, Server server) except -1:
        cdef Made made
        cdef tuple step
        for step in self.steps[self.done:]:
            if step[0] == PREPARES and step[2] is not None:
                server.prepared.pop(step[2], None)
        if not self.single or self.done != 1 or self.client.server is not server or server.queue.count:
            return 0  # what has followed may have changed what its description hangs on: that would fail
        step = self.steps[0]
        if step[0] != PREPARES or step[2] is None:
            return 0
        made = Made.__new__(Made)
        made.client = self.client
        made.name = step[1]
        made.statement = step[2]
        server.send_bytes(describe_statement(made.statement.name) + SYNC_MESSAGE)
        server.queue.push(DESCRIBE, CAPTURE, made)
        return server.queue.push(SYNC, CAPTURE, made)

    cdef bytes retold(self, bytes body):
        """An ErrorResponse of the server, as the client would have had it without a proxy."""
        cdef dict names = {}
        cdef list fields
        cdef Place place
        if self.failure is not None:
            return self.failure
        for place, statement in self.swaps:
            names.setdefault((<Statement>statement).name, place.name)
        fields = body.split(b"\0")
        for i, field in enumerate(fields):
            if field.startswith(b"P") and field[1:].isdigit():
                fields[i] = b"P%d" % self.position(int(field[1:]))
            elif field.startswith((b"M", b"D", b"H", b"W")):
                fields[i] = SERVER_NAME.sub(lambda found: names.get(found[0], found[0]), field)
        return b"\0".join(fields)

    cdef Py_ssize_t position(self, Py_ssize_t told) except -1:
        """Where the client's text has what is at this position (in characters, from 1) of the server's."""
        cdef Py_ssize_t moved = 0, start, length
        cdef Place place
        for place, statement in self.swaps:
            start = characters(self.text[:place.start]) + moved + 1
            length = len(quoted(statement))
            if told < start:
                break
            if told < start + length:
                return start - moved
            moved += length - (place.end - place.start)
        return told - moved


cdef class Preparing(Injection):
    cdef int failed(self, bytes body) except -1:
        """The server refuses it: so would it have refused the text, with the same words."""
        if self.follower.failure is None:
            self.follower.failure = retold_preparing(self.statement, body)
        return 0

    cdef int finished(self, Server server) except -1:
        if self.error is not None:
            server.prepared.pop(self.statement, None)
        return 0


cdef class Made(Description):
    cdef int described(self, Server server, bytes shape) except -1:
        """What others were told of the same content may have been true of an older plan: then this one is apart."""
        cdef Statement statement = self.statement
        if statement.shape is None or statement.shape == shape:
            statement.shape = shape
            return 0
        drop(server, statement)
        if self.client.statements is not None and self.client.statements.get(self.name) is statement:
            statement = self.client.statements[self.name] = server.context.statements.fresh(statement)
            statement.shape = shape
        return 0
