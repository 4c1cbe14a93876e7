"""A client's name space of prepared statements, while answers that may change it are on their way.

Owns what is unsettled in it, and what becomes of a name when the server says that a request was void. Refuses to deal
with messages: `prepared` does, and `sql_prepared`.
"""

from tidegate.proxy.naming cimport Renamed
from tidegate.proxy.simple cimport Simple
from tidegate.session.statements cimport Naming, Statement, Unnamed
from tidegate.wire.postgres.replies cimport FORWARD, LOCAL, QUERY, SYNC, ReplyQueue


cdef class NameSpace(Simple):
    cdef bint is_unsure(self, bytes name) except -1:
        """Whether it is still open what a statement's name means: its Parse or Close was sent, and a Sync behind it."""
        cdef ReplyQueue queue
        cdef Naming naming
        cdef unsigned int i
        cdef bint met = False
        if self.unsettled is None or name not in self.unsettled or self.server is None:
            return False
        queue = self.server.queue
        for i in range(queue.count):
            if queue.at(i).kind == SYNC and met:
                self.unsure = True
                return True
            if queue.at(i).note == NULL:
                continue
            if isinstance(<object>queue.at(i).note, Naming):
                naming = <Naming>queue.at(i).note
                met = met or naming.name == name or naming.names is not None
            elif queue.at(i).kind == QUERY and isinstance(<object>queue.at(i).note, Renamed):
                self.unsure = True
                return True
        return False

    cdef bint is_unnamed_unsure(self) except -1:
        """Whether the unnamed statement is an earlier batch's, of which the server has still to say what came of it."""
        if self.parsed_unnamed or not self.server.queue.owes_ready():
            return False
        self.unsure = True
        return True

    cdef int push_naming(self, int kind, Naming naming) except -1:
        """Expect the answer to what changes the client's name space."""
        if self.unsettled is None:
            self.unsettled = {}
        if naming.names is None:
            self.unsettled[naming.name] = None
        else:
            self.unsettled.update(dict.fromkeys(naming.names))
        return self.server.queue.push(kind, FORWARD, naming)

    cdef int enter_name(self, bytes name, Statement statement) except -1:
        """From now on the name means this."""
        if self.statements is None:
            self.statements = {}
        self.statements[name] = statement
        return 0

    cdef int forget(self, Naming naming) except -1:
        """Drop names without asking the server: what it has under them serves other clients."""
        if naming.names is None:
            del self.statements[naming.name]
        else:
            self.statements = None
        if self.server.queue.count == 0:
            return self.send_bytes(naming.reply)
        return self.push_naming(LOCAL, naming)

    cdef bytes called(self, bytes name):
        if self.statements is not None:
            for own, statement in self.statements.items():
                if (<Statement>statement).name == name:
                    return own
        return None

    cdef int statement_failed(self, object note, bint failed) except -1:
        """What should change the name space was void: undo it."""
        cdef Naming naming
        if isinstance(note, Naming):
            naming = <Naming>note
            if naming.names is not None:
                self.statements = naming.names
            elif naming.closing:
                self.enter_name(naming.name, naming.statement)
            elif self.statements is not None:
                self.statements.pop(naming.name, None)
        elif isinstance(note, Unnamed) and (<Unnamed>note).statement is self.unnamed:
            # A Parse that fails has dropped the former one; one that is skipped, or the proxy's own, has not.
            self.unnamed = None if failed and (<Unnamed>note).former is not self.unnamed else (<Unnamed>note).former
        return 0
