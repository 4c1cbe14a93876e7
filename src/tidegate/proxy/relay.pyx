"""What a logged-in client's messages mean, and what goes to its server for each.

Owns the way of each message (pass on, rewrite, answer here, wait for a server) and the client's name space of prepared
statements. Refuses to read replies (`server`) and SQL (`simple`, `session.scanner`).

A statement is prepared at a server under a name of its content; a Bind that comes to a server which lacks it has the
Parse go ahead of it, in the same write.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memset

from tidegate.proxy.client cimport DISCARD, PASS, RUNNING, SCAN
from tidegate.proxy.context cimport HIGH_WATER, INSPECTED
from tidegate.proxy.outcome cimport DONE, STOP
from tidegate.proxy.server cimport Server
from tidegate.proxy.simple cimport Simple
from tidegate.session.facts cimport DEALLOCATE_ALL, DEALLOCATE_ONE, DISCARD_ALL, PLAIN, SINGLE, Facts
from tidegate.session.scanner cimport Scanner, scan
from tidegate.session.statements cimport Naming, Statement
from tidegate.wire.postgres.integers cimport get32, put32, string_end
from tidegate.wire.postgres.messages cimport HEADER, LARGEST, error_response, message as build, ready_for_query
from tidegate.wire.postgres.replies cimport (
    BIND, CLOSE, COPY_END, DESCRIBE, EXECUTE, FORWARD, LOCAL, PARSE, QUERY, REPLACE, SYNC, ReplyQueue,
)
from tidegate.errors import CloseReason, PgError, Sqlstate
from tidegate.session.pins import PinReason
from tidegate.wire.postgres import messages

cdef bytes IDLE = ready_for_query(b'I')
cdef bytes PARSE_COMPLETE = messages.PARSE_COMPLETE
cdef bytes CLOSE_COMPLETE = messages.CLOSE_COMPLETE
cdef bytes FAILING_BIND = messages.FAILING_BIND

cdef enum:
    LARGEST_SMALL = 10000  # bytes that a message of a SMALL kind may announce, as with PostgreSQL
    NAMES_WITHIN = 65536  # bytes of a long message in which its names must end
    SHOWN = 200  # bytes of a statement that a log line shows

cdef unsigned char SMALL[256]
memset(SMALL, 0, sizeof(SMALL))
SMALL[<int>b'C'] = SMALL[<int>b'D'] = SMALL[<int>b'E'] = SMALL[<int>b'H'] = 1
SMALL[<int>b'S'] = SMALL[<int>b'X'] = SMALL[<int>b'c'] = SMALL[<int>b'f'] = 1

cdef unsigned char KNOWN[256]
memset(KNOWN, 0, sizeof(KNOWN))
cdef int known_kind
for known_kind in (81, 80, 66, 68, 69, 67, 70, 83, 72, 88, 100, 99, 102):  # QPBDECFSHXdcf
    KNOWN[known_kind] = 1


cdef class Relay(Simple):
    cdef Py_ssize_t process(self, const char* data, Py_ssize_t size) except -1:
        cdef Py_ssize_t pos = 0, length, whole, available
        cdef int type
        if self.login is not None:
            pos = self.login_bytes(data, size)
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
            if self.request(type, data + pos, whole, available) == STOP:
                break
            pos += available
            self.body_left += whole - available
            if self.server is not None and self.server.stream.out_len > HIGH_WATER:
                self.slow_server = True
        if self.phase == RUNNING and self.body_left == 0 and self.server is not None:
            self.maybe_release()
        return pos

    cdef Py_ssize_t login_bytes(self, const char* data, Py_ssize_t size) except -1:
        return self.login.take(self, PyBytes_FromStringAndSize(data, size))

    cdef Py_ssize_t continue_body(self, const char* data, Py_ssize_t size) except -1:
        """More of a message that is dealt with in pieces."""
        cdef Py_ssize_t take = min(size, self.body_left)
        self.body_left -= take
        if self.body_mode == SCAN:
            # The last byte is the NUL behind the text.
            (<Scanner>self.scanner).feed(data, take if self.body_left else take - 1)
            if self.body_left == 0:
                self.touch((<Scanner>self.scanner).finish())
                self.scanner = None
        if self.body_mode != DISCARD and self.server is not None:
            self.server.send(data, take)
            if self.server.stream.out_len > HIGH_WATER:
                self.slow_server = True
        return take

    cdef int request(self, int type, const char* message, Py_ssize_t whole, Py_ssize_t available) except -1:
        """One message, of which `available` bytes of `whole` are here."""
        self.body_mode = PASS
        if (type == b'S' or type == b'H') and whole != HEADER:
            # Passed on without its body, it would make the server read the next message as that body.
            raise PgError("invalid message format", Sqlstate.PROTOCOL_VIOLATION, "FATAL")
        if type == b'X':
            self.last_words(CloseReason.CLIENT_LEFT)
            return STOP
        if self.skip_to_sync:
            self.body_mode = DISCARD
            if type == b'S':
                self.skip_to_sync = False
                self.answer(IDLE)
            return DONE
        if type == b'S':
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
            return self.pass_on(message, whole, available)
        if self.probes and (type != b'Q' or self.defaults.values):
            # What a text means depends on settings that are being asked for, or may have to be brought back.
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
        if type == b'C':
            return self.on_close(message, whole)
        if not self.need_server():
            return STOP
        self.pass_on(message, whole, available)
        self.server.queue.push(EXECUTE if type == b'E' else QUERY, FORWARD, None)
        return DONE

    cdef bint is_unsure(self, bytes name) except -1:
        """Whether it is still open what a statement's name means: its Parse or Close was sent, and a Sync behind it."""
        cdef ReplyQueue queue
        cdef unsigned int i
        cdef bint met = False
        if self.unsettled is None or name not in self.unsettled or self.server is None:
            return False
        queue = self.server.queue
        for i in range(queue.count):
            if queue.at(i).kind == SYNC and met:
                self.unsure = True
                return True
            if queue.at(i).note != NULL and isinstance(<object>queue.at(i).note, Naming):
                met = met or (<Naming>queue.at(i).note).name == name
        return False

    cdef int push_naming(self, int kind, Naming naming) except -1:
        """Expect the answer to a Parse or Close that changes the client's name space."""
        if self.unsettled is None:
            self.unsettled = {}
        self.unsettled[naming.name] = None
        return self.server.queue.push(kind, FORWARD, naming)

    cdef int pass_on(self, const char* message, Py_ssize_t whole, Py_ssize_t available) except -1:
        """The message as it is, or as much of it as is here."""
        return self.server.send(message, available)

    cdef int on_parse(self, const char* message, Py_ssize_t whole, Py_ssize_t available) except -1:
        cdef const char* body = message + HEADER
        cdef Py_ssize_t size = available - HEADER
        cdef Py_ssize_t name_end = string_end(body, size)
        cdef Py_ssize_t text_end
        cdef Statement statement
        cdef bytes name
        if name_end < 0:
            raise PgError("invalid message format", Sqlstate.PROTOCOL_VIOLATION, "FATAL")
        text_end = string_end(body + name_end + 1, size - name_end - 1)
        name = PyBytes_FromStringAndSize(body, name_end)
        if self.is_unsure(name) or not self.need_server():
            return STOP
        if available < whole or text_end < 0:
            # Too long to be kept: it lives at this server alone.
            self.pin_down(PinReason.OVERSIZED_STATEMENT, PyBytes_FromStringAndSize(body, min(size, SHOWN)))
            self.pass_on(message, whole, available)
            return self.server.queue.push(PARSE, FORWARD, None)
        self.context.counters.parses_client += 1
        statement = self.translated(body + name_end + 1, text_end)
        if statement is None:
            statement = self.context.statements.find(
                PyBytes_FromStringAndSize(body + name_end + 1, size - name_end - 1), text_end,
                self.context_of_parse(), self.scs_on, self.trail)
        if name_end == 0:
            self.unnamed = self.server.unnamed = statement
            self.server.send_bytes(build(b'P', b"\0" + statement.content))
            return self.server.queue.push(PARSE, FORWARD, statement)
        if self.statements is None:
            self.statements = {}
        if name in self.statements:
            return self.force_failure(PgError(
                f'prepared statement "{name.decode("utf-8", "replace")}" already exists',
                Sqlstate.DUPLICATE_PREPARED_STATEMENT))
        self.statements[name] = statement
        if statement in self.server.prepared:
            return self.name_known(name, statement, message, name_end, whole)
        self.server.send_bytes(build(b'P', statement.name + b"\0" + statement.content))
        self.server.prepared[statement] = None
        self.context.counters.parses_server += 1
        return self.push_naming(PARSE, Naming(name, statement, False))

    cdef Statement translated(self, const char* text, Py_ssize_t size):
        """DEALLOCATE of a statement that the client prepared by protocol, as the server has to read it; else None."""
        cdef Facts facts
        cdef Statement statement
        if self.statements is None:
            return None
        facts = scan(text, size, self.scs_on, self.trail)
        if not facts.flags & DEALLOCATE_ONE or not facts.flags & SINGLE:
            return None
        statement = self.named(facts.deallocate)
        if statement is None:
            return None
        self.server.ensure(statement, self.settled_context())
        # By the extended protocol this is rare: the name goes now, and the server is given up afterwards.
        del self.statements[facts.deallocate]
        self.closes_server = self.server.tainted = True
        return self.context.statements.find(
            b"DEALLOCATE " + statement.name + b"\0\0\0", 11 + len(statement.name), object(), self.scs_on, self.trail)

    cdef int name_known(self, bytes name, Statement statement, const char* message, Py_ssize_t name_end,
                        Py_ssize_t whole) except -1:
        """A Parse of what the server has already: no need to ask it, unless the transaction has failed."""
        cdef Naming naming = Naming(name, statement, False, PARSE_COMPLETE)
        if self.server.status == b'E':
            self.server.send_bytes(build(b'P', PyBytes_FromStringAndSize(
                message + HEADER + name_end, whole - HEADER - name_end)))
            self.server.unnamed = None
            return self.push_naming(PARSE, naming)
        if self.server.queue.count == 0:
            return self.send_bytes(PARSE_COMPLETE)
        return self.push_naming(LOCAL, naming)

    cdef int statement_failed(self, object note) except -1:
        """A Parse or Close of this client's was void: undo what it did to the name space."""
        cdef Naming naming
        if isinstance(note, Naming):
            naming = <Naming>note
            if naming.closing:
                if self.statements is None:
                    self.statements = {}
                self.statements[naming.name] = naming.statement
            elif self.statements is not None:
                self.statements.pop(naming.name, None)
        elif note is self.unnamed:
            self.unnamed = None
        return 0

    cdef int force_failure(self, object error) except -1:
        """Fail at this place of the batch, with the client's own error, and let the server fail with it."""
        self.server.send_bytes(FAILING_BIND)
        return self.server.queue.push(BIND, REPLACE, error_response(error))

    cdef int use(self, Statement statement) except -1:
        """A statement is about to run: what it may change counts from now."""
        self.context.counters.queries += 1
        if statement.facts is not PLAIN:
            if statement.facts.pin is not None:
                self.pin_down(statement.facts.pin, statement.content)
            if statement.facts.flags & (DEALLOCATE_ALL | DISCARD_ALL):
                # By the extended protocol this is rare: the server is given up rather than tracked.
                self.closes_server = self.server.tainted = True
                self.statements = None
            self.touch(statement.facts)
        return 0

    cdef int on_bind(self, const char* message, Py_ssize_t whole, Py_ssize_t available) except -1:
        cdef const char* body = message + HEADER
        cdef Py_ssize_t size = available - HEADER
        cdef Py_ssize_t portal_end = string_end(body, size)
        cdef Py_ssize_t name_end = -1
        cdef Py_ssize_t rest
        cdef Statement statement = None
        cdef char head[HEADER]
        cdef bytes name
        if portal_end >= 0:
            name_end = string_end(body + portal_end + 1, size - portal_end - 1)
        if name_end < 0:
            raise PgError("invalid message format", Sqlstate.PROTOCOL_VIOLATION, "FATAL")
        if not self.need_server():
            return STOP
        if name_end == 0:
            if self.unnamed is not None:
                self.use(self.unnamed)
            if self.server.unnamed is not self.unnamed:
                self.server.ensure_unnamed(self.unnamed)
        else:
            name = PyBytes_FromStringAndSize(body + portal_end + 1, name_end)
            if self.is_unsure(name):
                return STOP
            statement = self.named(name)
        if statement is None:
            self.pass_on(message, whole, available)
            return self.server.queue.push(BIND, FORWARD, None)
        self.server.ensure(statement, self.settled_context())
        self.use(statement)
        rest = portal_end + 1 + name_end
        head[0] = b'B'
        put32(head + 1, <unsigned int>(whole - 1 - name_end + PyBytes_GET_SIZE(statement.name)))
        self.server.send(head, HEADER)
        self.server.send(body, portal_end + 1)
        self.server.send_bytes(statement.name)
        self.server.send(body + rest, size - rest)
        return self.server.queue.push(BIND, FORWARD, None)

    cdef int on_describe(self, const char* message, Py_ssize_t whole) except -1:
        cdef Statement statement
        cdef bytes name
        if whole < HEADER + 2:
            raise PgError("invalid message format", Sqlstate.PROTOCOL_VIOLATION, "FATAL")
        if not self.need_server():
            return STOP
        if message[HEADER] == b'S':
            if message[HEADER + 1] == 0:
                if self.server.unnamed is not self.unnamed:
                    self.server.ensure_unnamed(self.unnamed)
            else:
                name = PyBytes_FromStringAndSize(message + HEADER + 1, whole - HEADER - 2)
                if self.is_unsure(name):
                    return STOP
                statement = self.named(name)
                if statement is not None:
                    self.server.ensure(statement, self.settled_context())
                    self.server.send_bytes(build(b'D', b"S" + statement.name + b"\0"))
                    return self.server.queue.push(DESCRIBE, FORWARD, None)
        self.server.send(message, whole)
        return self.server.queue.push(DESCRIBE, FORWARD, None)

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
        if message[HEADER] == b'S' and message[HEADER + 1] == 0:
            self.unnamed = self.server.unnamed = None
        self.server.send(message, whole)
        return self.server.queue.push(CLOSE, FORWARD, None)

    cdef int on_sync(self, const char* message) except -1:
        cdef Server server = self.server
        if server is None:
            return self.answer(IDLE)
        server.send(message, HEADER)
        if server.queue.copying_in:
            return 0  # the server reads it as part of the COPY, and ignores it
        return server.queue.push(SYNC, FORWARD, None)

    cdef int on_copy(self, int type, const char* message, Py_ssize_t whole, Py_ssize_t available) except -1:
        """COPY data goes to a server that may want it; after a failed COPY it is nobody's."""
        cdef Server server = self.server
        if server is None or server.queue.count == 0 or server.queue.skipping:
            self.body_mode = DISCARD
            return DONE
        self.pass_on(message, whole, available)
        if type != b'd':
            server.queue.push(COPY_END, FORWARD, None)
        return DONE
