"""A client's prepared statements: the messages that make, use and drop them.

Owns the way of Parse, Bind, Describe, Execute and Close. Refuses framing (`relay`), to read replies (`backend`) and SQL
(`session.scanner`); what the client's names stand for is `namespace`'s.

A statement is prepared at a server under a name of its content; a Bind that comes to a server which lacks it has the
Parse go ahead of it, in the same write. What empties the name space (DEALLOCATE, DISCARD ALL) concerns this client only,
and is answered here where nothing else is to be done: the servers' copies serve others.
"""

from libc.string cimport memcmp

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

from tidegate.proxy.description cimport PLAN_CHANGED, Description, ShapeCheck, TypesTold
from tidegate.proxy.namespace cimport NameSpace
from tidegate.proxy.outcome cimport DONE, STOP
from tidegate.proxy.sequences cimport note_sequences, read_sequences
from tidegate.proxy.server cimport Server
from tidegate.proxy.simple cimport restoring
from tidegate.proxy.stand_in cimport bound_instead, told_apart
from tidegate.proxy.subscription cimport mark_behind, prepare_channels
from tidegate.proxy.watching cimport UNKNOWN, Watching
from tidegate.session.facts cimport (
    ABOUT_BACKENDS, DEALLOCATE_ALL, DEALLOCATE_ONE, DISCARD_ALL, LISTENS, NAMES, PINS, PLAIN, READS_SEQUENCES, RESET_ALL,
    RESHAPES, SINGLE, UNLISTENS, Facts,
)
from tidegate.session.statements cimport Meaning, Naming, Statement
from tidegate.wire.postgres.integers cimport put32, string_end
from tidegate.wire.postgres.messages cimport HEADER, command_complete, describe_statement, error_response, message as build
from tidegate.wire.postgres.replies cimport (
    BIND, CAPTURE, CLOSE, DESCRIBE, EXECUTE, FORWARD, LOCAL, PARSE, SYNC,
)
from tidegate.errors import PgError, Sqlstate
from tidegate.session.pins import PinReason
from tidegate.wire.postgres import messages

cdef bytes PARSE_COMPLETE = messages.PARSE_COMPLETE
cdef bytes CLOSE_COMPLETE = messages.CLOSE_COMPLETE
cdef bytes SYNC_MESSAGE = messages.SYNC

cdef enum:
    SHOWN = 200  # bytes of a statement that a log line shows
    LONGEST_KEPT = 1048576  # bytes of a Parse
    FORGETS = DEALLOCATE_ONE | DEALLOCATE_ALL | DISCARD_ALL


cdef inline bint is_watched(Facts facts) noexcept:
    """Whether an Execute of this statement is more than the server's own affair."""
    return facts.flags & (FORGETS | RESET_ALL | NAMES | UNLISTENS) != 0 or facts.set_default is not None


cdef inline Statement unkept():
    """Stands for a statement whose text is not kept: it can be used where it was parsed, and not be parsed again."""
    cdef Statement statement = Statement.__new__(Statement)
    statement.facts = PLAIN
    return statement


cdef class Prepared(NameSpace):
    cdef bint renaming_under_way(self) except -1:
        """Whether a text is under way that changes the name space by SQL."""
        raise NotImplementedError

    cdef Meaning meant(self, Statement statement):
        """What a statement that names another means now, which the server then has; None: wait."""
        raise NotImplementedError

    cdef int parse_meant(self, bytes name, Statement statement) except -1:
        """Parse of a statement that names another."""
        raise NotImplementedError

    cdef int execute_meant(self, Meaning meaning, const char* message, Py_ssize_t whole) except -1:
        """Execute of a portal whose statement names another."""
        raise NotImplementedError

    cdef int on_parse(self, const char* message, Py_ssize_t whole, Py_ssize_t available) except -1:
        cdef const char* body = message + HEADER
        cdef Py_ssize_t size = available - HEADER
        cdef Py_ssize_t name_end = string_end(body, size)
        cdef Py_ssize_t text_end
        cdef Statement statement
        cdef bytes name
        cdef bint apart
        if name_end < 0:
            raise PgError("invalid message format", Sqlstate.PROTOCOL_VIOLATION, "FATAL")
        text_end = string_end(body + name_end + 1, size - name_end - 1)
        name = PyBytes_FromStringAndSize(body, name_end)
        if self.is_unsure(name) or not self.need_server():
            return STOP
        if available < whole and whole <= LONGEST_KEPT:
            return STOP  # the rest comes
        if available < whole or text_end < 0:
            # Too long to be kept: it lives at this server alone.
            pinned = self.pin is not None
            self.pin_down(PinReason.OVERSIZED_STATEMENT, PyBytes_FromStringAndSize(body, min(size, SHOWN)))
            if name_end == 0:
                self.for_unnamed = not pinned
                self.unnamed = self.server.unnamed = unkept()
                self.parsed_unnamed = True
            self.server.send(message, available)
            return self.server.queue.push(PARSE, FORWARD, None)
        statement = self.context.statements.find(
            PyBytes_FromStringAndSize(body + name_end + 1, size - name_end - 1), text_end,
            self.context_of_parse(), self.scs_on, self.trail)
        if statement.facts.flags & RESHAPES and not self.may_run(statement):
            return STOP
        apart = statement.facts.flags & ABOUT_BACKENDS
        if apart:
            statement = told_apart(self, statement)
        self.context.counters.parses_client += 1
        if self.hearing is not None and statement.facts.flags & (LISTENS | UNLISTENS):
            prepare_channels(self, statement.facts)  # from here on it is too late to have the server listen first
        if name_end == 0:
            if apart:
                self.server.send_bytes(build(b'P', b"\0" + statement.content))
            else:
                self.server.send(message, whole)
            self.server.expect_unnamed(FORWARD, statement, self.unnamed)
            self.unnamed = statement
            self.parsed_unnamed = True
            return 0
        if self.named(name) is not None:
            return self.force_failure(error_response(PgError(
                f'prepared statement "{name.decode("utf-8", "replace")}" already exists',
                Sqlstate.DUPLICATE_PREPARED_STATEMENT)))
        self.enter_name(name, statement)
        if statement.facts.flags & NAMES:
            return self.parse_meant(name, statement)
        if statement in self.server.prepared:
            return self.name_known(name, statement, message, name_end, whole)
        self.server.send_bytes(build(b'P', statement.name + b"\0" + statement.content))
        self.push_naming(PARSE, Naming(name, statement, False))
        return self.server.note_prepared(statement)

    cdef int name_known(self, bytes name, Statement statement, const char* message, Py_ssize_t name_end,
                        Py_ssize_t whole) except -1:
        """A Parse of what the server has already: no need to ask it, unless the transaction has failed."""
        cdef Naming naming = Naming(name, statement, False, PARSE_COMPLETE)
        if self.server.status == b'E':
            self.server.send_bytes(build(b'P', PyBytes_FromStringAndSize(
                message + HEADER + name_end, whole - HEADER - name_end)))
            self.server.doubt_unnamed()
            return self.push_naming(PARSE, naming)
        if self.server.queue.count == 0:
            return self.send_bytes(PARSE_COMPLETE)
        return self.push_naming(LOCAL, naming)

    cdef bint may_run(self, Statement statement) except -1:
        """Whether a statement that changes the catalogue can be sent now."""
        return not statement.facts.flags & SINGLE or self.may_go(statement.content.partition(b"\0")[0])

    cdef int use(self, Statement statement) except -1:
        """A statement is about to run: what it may change counts from now."""
        self.context.counters.queries += 1
        if self.heard is not None:
            self.hear(statement.content or b"(too long to be kept)")
        if self.hearing is not None and statement.facts.flags & (LISTENS | UNLISTENS):
            prepare_channels(self, statement.facts)
        return self.take_effect(statement)

    cdef int take_effect(self, Statement statement) except -1:
        if statement.names is not self.catalogue.names:
            self.context.statements.judge(statement, self.catalogue.names)
        if self.wary or self.catalogue.changing or statement.facts.flags & (PINS | RESHAPES | READS_SEQUENCES):
            self.foresee_prepared(statement)
        if self.reads_sequences and statement.content is not None:
            note_sequences(self, statement.content)
        if statement.facts is not PLAIN:
            if statement.facts.pin is not None:
                self.may_leave(statement.facts.pin, statement.content)
            if not statement.facts.flags & DISCARD_ALL:
                self.touch(statement.facts)
        return 0

    cdef int foresee_prepared(self, Statement statement) except -1:
        cdef bytes text = statement.text()
        if text is None:
            read_sequences(self, UNKNOWN)
            return self.touch(UNKNOWN)
        return self.foresee(statement.facts, PyBytes_AS_STRING(text), PyBytes_GET_SIZE(text))

    cdef int bound(self, bytes portal, Statement statement, Meaning meaning) except -1:
        """Remember the portals whose Execute concerns the name space, or the session's defaults."""
        if statement is not None and is_watched(statement.facts):
            if self.portals is None:
                self.portals = {}
            self.portals[portal] = statement if meaning is None or meaning.target is None else meaning
        elif self.portals is not None:
            self.portals.pop(portal, None)
        return 0

    cdef int on_bind(self, const char* message, Py_ssize_t whole, Py_ssize_t available) except -1:
        cdef const char* body = message + HEADER
        cdef Py_ssize_t size = available - HEADER
        cdef Py_ssize_t portal_end = string_end(body, size)
        cdef Py_ssize_t name_end = -1
        cdef Py_ssize_t rest
        cdef Statement statement = None, wanted
        cdef Meaning meaning = None
        cdef char head[HEADER]
        cdef bytes name = b""
        if portal_end >= 0:
            name_end = string_end(body + portal_end + 1, size - portal_end - 1)
        if name_end < 0:
            raise PgError("invalid message format", Sqlstate.PROTOCOL_VIOLATION, "FATAL")
        if not self.need_server():
            return STOP
        if name_end == 0:
            if self.is_unnamed_unsure():
                return STOP
            wanted = self.unnamed
            if wanted is not None:
                if wanted.facts.flags & RESHAPES and wanted.content is not None and not self.may_run(wanted):
                    return STOP
                if wanted.facts.flags & ABOUT_BACKENDS and wanted.content is not None:
                    wanted = bound_instead(self, wanted, body + portal_end + 2 + name_end, size - portal_end - 2 - name_end)
                    if wanted is None:
                        return STOP if self.unsure else DONE
                if wanted.facts.flags & NAMES:
                    meaning = self.meant(wanted)
                    if meaning is None:
                        return STOP
                    wanted = meaning.derived
                self.use(self.unnamed)
                if self.unnamed.facts.bound:
                    self.touch_bound(self.unnamed.facts, body, size)
                if self.portals is not None or is_watched(self.unnamed.facts):
                    self.bound(PyBytes_FromStringAndSize(body, portal_end), self.unnamed, meaning)
            if self.server.unnamed is not wanted:
                self.server.ensure_unnamed(wanted)
        else:
            name = PyBytes_FromStringAndSize(body + portal_end + 1, name_end)
            if self.is_unsure(name):
                return STOP
            statement = self.named(name)
            if statement is not None and statement.facts.flags & RESHAPES and not self.may_run(statement):
                return STOP
        if statement is None:
            self.server.send(message, available)
            return self.server.queue.push(BIND, FORWARD, None)
        if (statement.generation != self.context.statements.generation and self.checking is None
                and self.describes_next(message, whole, portal_end)):
            # Its result may have other columns by now. The client is about to be told of them.
            statement = self.statements[name] = self.context.statements.fresh(statement)
        elif statement.generation != self.context.statements.generation or self.checking is not None:
            statement = self.current(name, statement)
            if statement is None:
                return STOP
            if self.failure is not None:
                return self.force_failure(build(b'E', self.failure))
            if statement.stale and statement not in self.server.prepared:
                return self.force_failure(build(b'E', PLAN_CHANGED))
        if statement.facts.flags & NAMES:
            meaning = self.meant(statement)
            if meaning is None:
                return STOP
        if statement.facts.flags & ABOUT_BACKENDS:
            statement = bound_instead(self, statement, body + portal_end + 2 + name_end, size - portal_end - 2 - name_end)
            if statement is None:
                return STOP if self.unsure else DONE
        self.use(statement)
        if statement.facts.bound:
            self.touch_bound(statement.facts, body, size)
        if self.portals is not None or is_watched(statement.facts):
            self.bound(PyBytes_FromStringAndSize(body, portal_end), statement, meaning)
        if meaning is not None:
            statement = meaning.derived
        self.server.ensure(statement, self.settled_context())
        rest = portal_end + 1 + name_end
        head[0] = b'B'
        put32(head + 1, <unsigned int>(whole - 1 - name_end + PyBytes_GET_SIZE(statement.name)))
        self.server.send(head, HEADER)
        self.server.send(body, portal_end + 1)
        self.server.send_bytes(statement.name)
        self.server.send(body + rest, size - rest)
        return self.server.queue.push(BIND, FORWARD, statement.name)

    cdef bint describes_next(self, const char* message, Py_ssize_t whole, Py_ssize_t portal_size) noexcept:
        """Whether a Describe of its portal stands behind this Bind, as libpq and all that is built on it send it."""
        cdef const char* behind = message + whole
        return (self.input_end - behind >= HEADER + 2 + portal_size and behind[0] == b'D' and behind[HEADER] == b'P'
                and memcmp(behind + HEADER + 1, message + HEADER, portal_size + 1) == 0)

    cdef Statement current(self, bytes name, Statement statement):
        """What a name of the client's stands for since the catalogue has changed; None: the server is being asked."""
        self.failure = None
        if self.recheck(statement) == STOP:
            return None
        if statement.shape is None and statement not in self.server.prepared:
            # Nobody relies on its columns, so it may as well be the one that others parse from now on.
            statement = self.statements[name] = self.context.statements.fresh(statement)
        return statement

    cdef int recheck(self, Statement statement) except -1:
        """Before a statement is parsed anew: is its result what clients were told? STOP: the server is being asked.

        Only for one from before the catalogue changed. A server that has it knows by itself; one that lacks it would
        run it with a new plan, and a driver that was told other columns could not read the rows.
        """
        cdef Server server = self.server
        cdef ShapeCheck check = self.checking
        cdef tuple context
        if check is not None:
            if not check.done:
                self.unsure = True
                return STOP
            self.checking = None
            if check.statement is statement:
                if server.status == b'E':
                    self.failure = check.failure  # in place of the client's own message
                return DONE  # that is why it comes again
        if (statement.stale or statement.shape is None or statement in server.prepared or server.queue.open_batch
                or server.status == b'E'):
            return DONE
        context = self.settled_context()
        if context is None or context != statement.context:
            return DONE
        check = self.checking = ShapeCheck.__new__(ShapeCheck)
        check.statement = statement
        check.generation = self.context.statements.generation
        server.prepare(statement, context, check)
        server.send_bytes(describe_statement(statement.name))
        server.queue.push(DESCRIBE, CAPTURE, check)
        server.note_prepared(statement)  # what makes room is closed within this batch
        server.send_bytes(SYNC_MESSAGE)
        server.queue.push(SYNC, CAPTURE, check)
        self.unsure = True
        return STOP

    cdef int on_describe(self, const char* message, Py_ssize_t whole) except -1:
        cdef Statement statement
        cdef Meaning meaning
        cdef bytes name
        if whole < HEADER + 2:
            raise PgError("invalid message format", Sqlstate.PROTOCOL_VIOLATION, "FATAL")
        if not self.need_server():
            return STOP
        if message[HEADER] == b'S':
            name = PyBytes_FromStringAndSize(message + HEADER + 1, whole - HEADER - 2)
            if self.is_unsure(name) if name else self.is_unnamed_unsure():
                return STOP
            statement = self.named(name) if name else self.unnamed
            if statement is not None and statement.facts.flags & NAMES:
                meaning = self.meant(statement)
                if meaning is None:
                    return STOP
                statement = meaning.derived
            if not name:
                if self.server.unnamed is not statement:
                    self.server.ensure_unnamed(statement)
                self.server.send(message, whole)
                return self.server.queue.push(DESCRIBE, FORWARD, self.types_of_unnamed(statement))
            elif statement is not None:
                return self.describe_named(statement)
        self.server.send(message, whole)
        return self.server.queue.push(DESCRIBE, FORWARD, None)

    cdef TypesTold types_of_unnamed(self, Statement statement):
        """The note by which a Describe of it is remembered; None where nothing is, or nothing was kept."""
        cdef TypesTold described
        if statement is None or statement.content is None:
            return None
        described = TypesTold.__new__(TypesTold)
        described.client = self
        described.statement = statement
        return described

    cdef int describe_named(self, Statement statement) except -1:
        cdef Description description = Description.__new__(Description)
        description.statement = statement
        self.server.ensure(statement, self.settled_context())
        self.server.send_bytes(describe_statement(statement.name))
        return self.server.queue.push(DESCRIBE, FORWARD, description)

    cdef int on_execute(self, const char* message, Py_ssize_t whole) except -1:
        cdef Statement statement = None
        cdef Naming naming = None
        cdef object found
        if not self.need_server():
            return STOP
        if self.portals is not None:
            # Its name, a NUL, and the number of rows.
            found = self.portals.get(PyBytes_FromStringAndSize(message + HEADER, max(whole - HEADER - 5, 0)))
            if isinstance(found, Meaning):
                return self.execute_meant(<Meaning>found, message, whole)
            statement = found
        if statement is not None and statement.facts.flags & FORGETS:
            if self.renaming_under_way():
                return STOP
            naming = self.forgotten_by(statement)
            if naming is not None and not naming.at_server:
                return self.forget(naming)
        self.executed = True
        self.server.send(message, whole)
        if naming is None:
            self.server.queue.push(EXECUTE, FORWARD, None)
        else:
            if statement.facts.flags & DISCARD_ALL:
                self.touch(statement.facts)
            naming.dropped = self.server.prepared
            self.server.forget_statements()
            self.statements = None
            self.push_naming(EXECUTE, naming)
        if statement is not None:
            mark_behind(self, statement.facts)
        return self.restore_aside(statement.facts) if statement is not None else 0

    cdef int restore_aside(self, Facts facts) except -1:
        """Behind a RESET: what it must bring back, before anything else of the client's batch."""
        cdef dict defaults = self.defaults_behind(facts)
        return self.server.run_aside(restoring(defaults)) if defaults else 0

    cdef Naming forgotten_by(self, Statement statement):
        """What the Execute of a DEALLOCATE or DISCARD ALL does to the name space; None: the server knows better."""
        cdef int flags = statement.facts.flags
        cdef bytes name = statement.facts.deallocate
        cdef bint at_server = Watching.is_dirty(self)
        if flags & DEALLOCATE_ONE:
            if self.named(name) is None:
                return None
            return Naming(name, self.named(name), True, command_complete(b"DEALLOCATE"))
        if flags & DISCARD_ALL:
            # Not in a block, nor behind another statement of its batch: the server refuses that.
            at_server = (self.is_dirty() or self.hearing is not None or self.settings is not self.defaults
                         or self.executed or self.stain != 0 or self.server.status != b'I')
        return Naming(None, None, True, command_complete(b"DISCARD ALL" if flags & DISCARD_ALL else b"DEALLOCATE ALL"),
                      self.statements or {}, at_server)

    cdef int on_close(self, const char* message, Py_ssize_t whole) except -1:
        """Close of a statement concerns this client's name space only; the server's copy serves others."""
        cdef bytes name
        cdef Statement statement
        if whole < HEADER + 2:
            raise PgError("invalid message format", Sqlstate.PROTOCOL_VIOLATION, "FATAL")
        if message[HEADER] == b'S' and message[HEADER + 1] != 0:
            name = PyBytes_FromStringAndSize(message + HEADER + 1, whole - HEADER - 2)
            if self.is_unsure(name):
                return STOP
            statement = self.named(name)
            if statement is not None:
                del self.statements[name]
                if self.server is None or self.server.queue.count == 0:
                    return self.send_bytes(CLOSE_COMPLETE)
                return self.push_naming(LOCAL, Naming(name, statement, True, CLOSE_COMPLETE))
        if self.server is None and self.pin is None and (message[HEADER] == b'S' or message[HEADER] == b'P') and (
                string_end(message + HEADER + 1, whole - HEADER - 1) == whole - HEADER - 2):
            # Nothing of that name is anywhere: closing it is no error.
            if message[HEADER] == b'S' and message[HEADER + 1] == 0:
                self.unnamed = None
            return self.answer(CLOSE_COMPLETE)
        if not self.need_server():
            return STOP
        if self.portals is not None and message[HEADER] == b'P':
            self.portals.pop(PyBytes_FromStringAndSize(message + HEADER + 1, whole - HEADER - 2), None)
        if message[HEADER] == b'S' and message[HEADER + 1] == 0:
            self.unnamed = self.server.unnamed = None
        self.server.send(message, whole)
        return self.server.queue.push(CLOSE, FORWARD, None)
