"""A client's simple queries, and what they may change.

Owns the reading of Query by what the scanner says of its text. Refuses to parse SQL (`session.scanner`) and to say what
has changed: the server does (`tracking`).
"""

from cpython.bytes cimport PyBytes_FromStringAndSize

from tidegate.proxy.borrowing cimport Borrowing
from tidegate.proxy.client cimport SCAN
from tidegate.proxy.outcome cimport DONE, STOP
from tidegate.proxy.sequences cimport note_sequences, read_sequences
from tidegate.proxy.server cimport Server
from tidegate.proxy.stand_in cimport run_instead
from tidegate.proxy.subscription cimport ABOUT_CHANNELS, ANY_CHANNELS, mark_behind, prepare_channels
from tidegate.proxy.tracking cimport (
    Assigned, Deallocated, DeallocatedOne, ResetAll, Restored, inject_probe,
)
from tidegate.session.facts cimport (
    ABOUT_BACKENDS, DEALLOCATE_ALL, DEALLOCATE_ONE, DISCARD_ALL, DISCARD_OTHER, FREES, LOCALLY, NAMES, PINS, PLAIN,
    READS_SEQUENCES, RESET_ALL, RESHAPES, SINGLE, TOUCHES, Facts,
)
from tidegate.session.scanner cimport Scanner, scan
from tidegate.session.statements cimport Statement
from tidegate.wire.postgres.integers cimport string_end
from tidegate.wire.postgres.messages cimport HEADER, command_complete, query, ready_for_query
from tidegate.wire.postgres.replies cimport BIND, FORWARD, QUERY, REPLACE, SHORTEN, TOLD
from tidegate.errors import PgError, Sqlstate
from tidegate.session.settings import IDENTITY, order_of_setting, set_sql
from tidegate.wire.postgres import messages

cdef bytes IDLE = ready_for_query(b'I')
cdef bytes FAILING_BIND = messages.FAILING_BIND

cdef enum:
    LONGEST_NAMED = 16777216  # bytes of a Query that is held as a whole, for the prepared statements that it names
    LOOKED_AT = 65536  # bytes of its beginning in which it is seen to do so
    LONGEST_READ = 16384  # bytes of a statement on a database as a whole
    SHOWN = 200  # bytes of a statement that an audit names
    CHANGES = (TOUCHES | RESET_ALL | DISCARD_ALL | DEALLOCATE_ONE | DEALLOCATE_ALL | PINS | RESHAPES | FREES | DISCARD_OTHER
               | ABOUT_CHANNELS | LOCALLY)


cdef list restoring(dict defaults):
    """The statements that bring these values back, in the order in which they may be set."""
    return [set_sql(name, defaults[name]) for name in sorted(defaults, key=order_of_setting)]


cdef class Simple(Borrowing):
    cdef int on_query(self, const char* message, Py_ssize_t whole, Py_ssize_t available) except -1:
        cdef Py_ssize_t size, looked
        cdef Facts facts
        cdef Scanner scanner
        if whole < HEADER + 1:
            raise PgError("invalid message format", Sqlstate.PROTOCOL_VIOLATION, "FATAL")
        if available < whole:
            looked = min(available, LOOKED_AT)
            scanner = Scanner.__new__(Scanner)
            scanner.reset(self.scs_on, self.trail, self.catalogue.names)
            scanner.feed(message + HEADER, looked - HEADER)
            # The rest of a text that names prepared statements is waited for.
            if (whole <= LONGEST_NAMED and scanner.names_so_far()) or not self.need_server():
                return STOP
            scanner.feed(message + looked, available - looked)
            read_sequences(self, PLAIN)  # what is still to come may ask for such values
            if self.hearing is not None:
                prepare_channels(self, ANY_CHANNELS)
            self.scanner = scanner
            self.body_mode = SCAN
            return self.run_query(PLAIN, message, whole, available)
        size = string_end(message + HEADER, whole - HEADER)
        facts = scan(message + HEADER, size if size >= 0 else whole - HEADER, self.scs_on, self.trail,
                     self.catalogue.names)
        if facts is not PLAIN and self.server is None and self.answer_here(facts):
            return DONE
        if not self.need_server():
            return STOP
        if facts is not PLAIN and facts.flags & RESHAPES and facts.flags & SINGLE and whole < LONGEST_READ and (
                not self.may_go(PyBytes_FromStringAndSize(message + HEADER, size))):
            return STOP
        if facts is not PLAIN and facts.flags & ABOUT_BACKENDS and whole < LONGEST_READ:
            return run_instead(self, facts, PyBytes_FromStringAndSize(message + HEADER, max(size, 0)))
        return self.run_query(facts, message, whole, available)

    cdef int force_failure(self, bytes response) except -1:
        """Fail at this place of the batch, with this ErrorResponse, and let the server fail with it."""
        self.server.send_bytes(FAILING_BIND)
        return self.server.queue.push(BIND, REPLACE, response)

    cdef int run_query(self, Facts facts, const char* message, Py_ssize_t whole, Py_ssize_t available) except -1:
        """Pass a Query on; whatever it may change is noted behind it."""
        cdef Server server = self.server
        # Nothing of the client's own is open or under way: a statement on its own is a transaction of its own.
        cdef bint alone = server.status == b'I' and not server.queue.open_batch and server.queue.count <= 1 and (
            server.queue.count == 0 or server.queue.ring[server.queue.first].action not in (FORWARD, TOLD))
        if facts is not PLAIN and facts.flags & NAMES:
            return self.run_named(facts, message, whole)
        self.unnamed = server.unnamed = None
        self.parsed_unnamed = False
        self.context.counters.queries += 1
        if self.heard is not None:
            self.hear(PyBytes_FromStringAndSize(message + HEADER, min(available - HEADER, SHOWN)))
        if self.wary or self.catalogue.changing or facts.flags & (PINS | RESHAPES | READS_SEQUENCES):
            self.foresee(facts, message + HEADER, min(available, whole - 1) - HEADER)
        if self.reads_sequences:
            note_sequences(self, PyBytes_FromStringAndSize(message + HEADER, min(available - HEADER, LOOKED_AT)))
        if not facts.flags & CHANGES and facts.pin is None:
            server.send(message, available)
            return server.queue.push(QUERY, FORWARD, None)
        if facts.flags & DEALLOCATE_ONE and facts.flags & SINGLE and self.statements is not None:
            statement = self.statements.get(facts.deallocate)
            if statement is not None:
                return self.deallocate(<Statement>statement, facts.deallocate)
        if facts.flags & (ABOUT_CHANNELS | DISCARD_ALL):
            prepare_channels(self, facts)
        server.send(message, available)
        self.suspect(facts, PyBytes_FromStringAndSize(message + HEADER, whole - HEADER - 1), alone)
        return mark_behind(self, facts)

    cdef int run_named(self, Facts facts, const char* message, Py_ssize_t whole) except -1:
        """Pass a Query on that names prepared statements."""
        raise NotImplementedError

    cdef int suspect(self, Facts facts, bytes text, bint alone) except -1:
        """Expect the end of a statement that may change the session; see `tracking`."""
        cdef Server server = self.server
        cdef bint single = facts.flags & SINGLE != 0
        cdef Assigned assigned
        cdef ResetAll reset
        cdef Deallocated deallocated
        cdef object known = None
        cdef dict defaults = self.defaults_behind(facts)
        cdef int action = SHORTEN if defaults else FORWARD
        if facts.pin is not None:
            self.may_leave(facts.pin, text)
        if alone and single and facts.set_default is not None:
            known = (facts.set_default, None)
        elif alone and single and facts.replayable:
            known = self.gate.worker.set_outcomes.get(text)
        if known is not None:
            assigned = Assigned()
            assigned.client = self
            assigned.name, assigned.value = known
            server.queue.push(QUERY, action, assigned)
            return self.restore(defaults) if defaults else 0
        if alone and single and facts.flags & (RESET_ALL | DISCARD_ALL):
            reset = ResetAll()
            reset.client = self
            reset.discard = facts.flags & DISCARD_ALL != 0
            server.queue.push(QUERY, action, reset)
            return self.restore(defaults) if defaults else 0
        if facts.flags & (DEALLOCATE_ALL | DISCARD_ALL):
            deallocated = Deallocated()
            deallocated.client = self
            server.queue.push(QUERY, TOLD if action == FORWARD else action, deallocated)
        else:
            server.queue.push(QUERY, action, None)
        if defaults:
            self.restore(defaults)
        if alone and single and facts.touched and not facts.flags & RESET_ALL and not self.wary:
            return inject_probe(self, facts.touched, facts.replayable, text if facts.replayable else None)
        return self.touch(facts)

    cdef dict defaults_behind(self, Facts facts):
        """What a RESET must bring back, which the server would take from its own defaults; empty if there is none."""
        cdef dict defaults = self.defaults.values
        if not facts.flags & SINGLE:
            return {}
        if facts.flags & DISCARD_ALL:
            return defaults
        if facts.flags & RESET_ALL:
            return {name: value for name, value in defaults.items() if name not in IDENTITY}
        return {facts.set_default: defaults[facts.set_default]} if facts.set_default in defaults else {}

    cdef int restore(self, dict defaults) except -1:
        """The second half of a RESET's answer: the session's own defaults, then what has changed, then ready."""
        cdef Restored restored = Restored()
        restored.client = self
        return self.server.inject(b";".join(restoring(defaults)), restored)

    cdef bint answer_here(self, Facts facts) except -1:
        """Statements of which nothing is at any server: DISCARD ALL, DEALLOCATE."""
        cdef bytes tag
        if not facts.flags & SINGLE or self.pin is not None or self.hearing is not None and facts.flags & DISCARD_ALL:
            return False
        if facts.flags & DISCARD_ALL and self.settings is self.defaults:
            tag = b"DISCARD ALL"
            self.stain = 0
        elif facts.flags & DEALLOCATE_ALL and not facts.flags & DISCARD_ALL:
            tag = b"DEALLOCATE ALL"
        elif facts.flags & DEALLOCATE_ONE and self.statements is not None and facts.deallocate in self.statements:
            del self.statements[facts.deallocate]
            self.unnamed = None
            self.send_bytes(command_complete(b"DEALLOCATE"))
            self.send_bytes(IDLE)
            return True
        else:
            return False
        self.statements = None
        self.unnamed = None
        self.send_bytes(command_complete(tag))
        self.send_bytes(IDLE)
        return True

    cdef int deallocate(self, Statement statement, bytes name) except -1:
        """DEALLOCATE of a statement that the server knows under another name."""
        cdef DeallocatedOne note = DeallocatedOne()
        self.server.ensure(statement, self.settled_context())
        note.client = self
        note.statement = statement
        note.name = name
        self.server.send_bytes(query(b"DEALLOCATE " + statement.name))
        return self.server.queue.push(QUERY, FORWARD, note)
