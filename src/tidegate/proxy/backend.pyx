"""What a database server answers, and where each answer goes.

Owns the way of each reply: to the borrower, to whoever slipped the request in, or nowhere. Refuses to send anything of
its own accord.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.object cimport PyObject

from tidegate.proxy.context cimport INSPECTED
from tidegate.proxy.description cimport Description, ShapeCheck
from tidegate.proxy.server cimport LEAVING, LOGGING_IN, READY, Borrower, Injection, Server
from tidegate.proxy.naming cimport Preparing, Renamed, retold_preparing
from tidegate.session.statements cimport Closing, Naming, Statement
from tidegate.wire.postgres.integers cimport get32
from tidegate.wire.postgres.messages cimport HEADER, LARGEST, message, parse_data_row, parse_error, row_shape
from tidegate.wire.postgres.replies cimport CAPTURE, FORWARD, LOCAL, REPLACE, SHORTEN, SWALLOW, TOLD, ReplyQueue
from tidegate.errors import PgError, Sqlstate, UntoldError
from tidegate.wire.postgres import messages

# The field of an ErrorResponse that names where it was raised: the message itself is in the server's language.
cdef bytes REVALIDATION = b"\0RRevalidateCachedQuery\0"

cdef enum:
    COMPLETED = 16  # ReplyQueue.arrive adds it


cdef inline bint is_told_all(int action) noexcept:
    """Whether the client gets this answer to its end."""
    return action == FORWARD or action == TOLD


cdef class Backend(Server):
    """How a reply finds its way: see `wire.postgres.replies`. While logging in, messages go to `login` instead."""

    cdef Py_ssize_t process(self, const char* data, Py_ssize_t size) except -1:
        """Walk the messages; returns how many bytes were dealt with. `run` is where the bytes to forward begin."""
        cdef Py_ssize_t pos = 0, run = 0, length, whole, take
        cdef int type, action
        cdef ReplyQueue queue = self.queue
        cdef Borrower borrower  # holds a reference over a call in which the borrower may end
        if self.phase == LOGGING_IN:
            return self.log_in(data, size)
        if self.phase == LEAVING:
            return size
        if self.tunnel:
            if self.borrower is not None:
                self.borrower.relay(data, size)
            return size
        while pos < size:
            if self.body_left:
                take = min(self.body_left, size - pos)
                if self.body_action != FORWARD:
                    self.relay_run(data, run, pos)
                    run = pos + take
                pos += take
                self.body_left -= take
                continue
            if size - pos < HEADER:
                break
            type = <unsigned char>data[pos]
            length = get32(data + pos + 1)
            if length < 4 or length > LARGEST:
                raise ValueError(f"server sent a message of {length} bytes")
            whole = length + 1
            if type == b'Z' and self.untold and queue.count and is_told_all(queue.ring[queue.first].action):
                # Directly, too, it would come ahead of ReadyForQuery.
                self.relay_run(data, run, pos)
                run = pos
                self.untold = False
                if self.borrower is not None:
                    self.borrower.parameters_due()
            if (type == b'D' or type == b'd') and queue.count and queue.ring[queue.first].action == FORWARD:
                action = FORWARD
            elif pos + whole > size and whole <= INSPECTED:
                break
            else:
                action = self.reply(type, data + pos + HEADER, min(length - 4, size - pos - HEADER))
            if action != FORWARD:
                self.relay_run(data, run, pos)
                run = pos + whole
                if self.instead is not None:
                    self.relay_instead()
                if (type == b'D' or type == b'd') and self.borrower is not None:
                    self.borrower.unread(whole)
            pos += whole
            if pos > size:
                self.body_left = pos - size
                self.body_action = action
                pos = size
                run = min(run, size)
            if queue.count and queue.ring[queue.first].kind >= LOCAL:
                self.relay_run(data, run, pos)
                run = pos
                self.answer_locals()
            if type == b'Z':
                self.relay_run(data, run, pos)
                run = pos
                if queue.count == 0 and not queue.open_batch and self.borrower is not None:
                    borrower = self.borrower
                    borrower.settled()
                elif queue.count == 0 and self.borrower is None:
                    self.lender.take_back(self)
                elif self.borrower is not None:
                    self.borrower.progressed()
                if self.phase != READY:
                    return size
            elif type == b'E' and queue.skipping and self.borrower is not None:
                # All up to a Sync is void, and the client's Sync may be behind a message that waits for what was owed.
                self.relay_run(data, run, pos)
                run = pos
                self.borrower.progressed()
                if self.phase != READY:
                    return size
        self.relay_run(data, run, pos)
        if self.last_words and queue.count == 0 and self.borrower is not None:
            borrower = self.borrower
            borrower.settled()
        return pos

    cdef int relay_run(self, const char* data, Py_ssize_t start, Py_ssize_t end) except -1:
        if end > start and self.borrower is not None:
            self.borrower.relay(data + start, end - start)
        return 0

    cdef int relay_instead(self) except -1:
        """What the client is told in place of the error that has just come."""
        cdef bytes message = self.instead
        self.instead = None
        if self.borrower is not None:
            self.borrower.relay(PyBytes_AS_STRING(message), PyBytes_GET_SIZE(message))
        return 0

    cdef Py_ssize_t log_in(self, const char* data, Py_ssize_t size) except -1:
        """Hand whole messages to the login until it is done."""
        cdef Py_ssize_t pos = 0, length
        if self.asking:
            return self.answered(data, size)
        while size - pos >= HEADER and self.phase == LOGGING_IN:
            length = get32(data + pos + 1)
            if length < 4 or length > INSPECTED:
                raise ValueError(f"server sent a message of {length} bytes during the login")
            if pos + length + 1 > size:
                break
            body = PyBytes_FromStringAndSize(data + pos + HEADER, length - 4)
            try:
                answer = self.login.feed(<unsigned char>data[pos], body)
            except PgError as error:
                # Read on in order to see the end: the backend may live until then.
                self.dying = error
                self.terminate()
                return size
            if answer:
                self.send_bytes(answer)
            pos += length + 1
            if self.pid == 0 and self.login.pid:
                self.pid = self.login.pid
                self.key = self.login.key
                self.lender.identified(self)
            if self.login.done:
                self.phase = READY
                self.reported = self.context.interned.intern(self.login.parameters)
                self.initial = self.applied = self.context.interned.intern(self.login.initial)
                self.lender.ready(self)
        self.context.to_servers.flush()
        if self.phase == READY and pos < size:
            return pos + self.process(data + pos, size - pos)
        return pos if self.phase == LOGGING_IN else size

    cdef int reply(self, int type, const char* body, Py_ssize_t size) except -1:
        """One message: what becomes of it. `body` may be cut short if the message is longer than INSPECTED."""
        cdef ReplyQueue queue = self.queue
        cdef int action
        if type == b'Z':
            if size != 1:
                raise ValueError("malformed ReadyForQuery")
            return self.ready_reply(<unsigned char>body[0])
        if type == b'E':
            return self.error_reply(body, size)
        if type == b'S':
            return self.parameter_reply(body, size)
        if type == b'N':
            action = FORWARD if queue.count == 0 else queue.ring[queue.first].action
            return FORWARD if action == FORWARD or action == SHORTEN or action == TOLD else SWALLOW
        if type == b'A':
            return self.notification_reply(body, size)
        action = queue.arrive(type)
        if (type == b't' and queue.ring[queue.first].note != NULL
                and isinstance(<object>queue.ring[queue.first].note, Description)):
            (<Description><object>queue.ring[queue.first].note).parameters_told(self, PyBytes_FromStringAndSize(body, size))
        if (type == b'G' or type == b'W') and self.borrower is not None:
            self.borrower.copy_requested()
        if action & COMPLETED:
            action &= ~COMPLETED
            if (type == b'T' or type == b'n') and isinstance(queue.finished, Description):
                (<Description>queue.finished).described(
                    self, row_shape(PyBytes_FromStringAndSize(body, size)) if type == b'T' else b"")
        elif type == b'D' and action == CAPTURE:
            (<Injection>queue.ring[queue.first].note).rows.append(parse_data_row(PyBytes_FromStringAndSize(body, size)))
        elif action == TOLD:
            if type == b'C':
                (<Injection>queue.ring[queue.first].note).completed(self, PyBytes_FromStringAndSize(body, size))
            return FORWARD
        return FORWARD if action == FORWARD or action == SHORTEN else SWALLOW

    cdef int ready_reply(self, int status) except -1:
        cdef int action = self.queue.arrive(b'Z') & ~COMPLETED
        cdef object note = self.queue.finished
        cdef bint failed = self.erred
        self.queue.finished = None
        self.status = status
        self.erred = False
        if note is not None:
            if failed and (<Injection>note).error is None:
                (<Injection>note).error = PgError("the statement failed", "XX000")
            (<Injection>note).finished(self)
        if not is_told_all(action):
            return SWALLOW
        return SWALLOW if self.holds_ready and self.is_ready_held() else FORWARD

    cdef int notification_reply(self, const char* body, Py_ssize_t size) except -1:
        cdef bint passed_on
        if self.borrower is None:
            passed_on = self.lender.notified(self, body, size)
        else:
            passed_on = self.borrower.notified(self, PyBytes_FromStringAndSize(body, size))
        return FORWARD if passed_on else SWALLOW

    cdef int error_reply(self, const char* body, Py_ssize_t size) except -1:
        cdef ReplyQueue queue = self.queue
        cdef bytes whole = PyBytes_FromStringAndSize(body, size)
        cdef object error = parse_error(whole) if size < INSPECTED - HEADER else PgError("", "XX000")
        cdef int action
        cdef list dropped
        cdef Injection asked
        cdef PyObject* failed
        if error.sqlstate == Sqlstate.FEATURE_NOT_SUPPORTED and REVALIDATION in whole and queue.count:
            self.plan_changed(queue.ring[queue.first].note)
        elif error.sqlstate == Sqlstate.INVALID_STATEMENT_NAME:
            self.missing(whole)
        if error.severity in ("FATAL", "PANIC"):
            self.dying = error
        if queue.count == 0:
            return FORWARD
        self.erred = True
        if queue.ring[queue.first].note != NULL and size < INSPECTED - HEADER:
            self.retell(<object>queue.ring[queue.first].note, whole)
        if queue.ring[queue.first].action == CAPTURE:
            asked = <Injection>queue.ring[queue.first].note
            asked.error = error
            if self.dying is not None:
                self.dying = UntoldError(asked.explained(error), error.sqlstate, error.severity, error.detail, error.hint)
        # What this error made void may have been what changes the unnamed statement, or its Parse was no valid message.
        self.doubt_unnamed()
        failed = queue.ring[queue.first].note
        action = queue.fail()
        dropped = queue.dropped
        queue.dropped = None
        if dropped is not None:
            for note in dropped:
                if isinstance(note, Injection):
                    (<Injection>note).error = error
                else:
                    self.undo(note, <PyObject*>note == failed)
        if action == REPLACE:
            self.instead = dropped[len(dropped) - 1]
        return SWALLOW if action == CAPTURE or self.instead is not None else FORWARD

    cdef int retell(self, object note, bytes whole) except -1:
        """An error in answer to what `note` stands for may use names that its client has not given."""
        if isinstance(note, Preparing):
            (<Preparing>note).failed(whole)
            return 0
        if isinstance(note, ShapeCheck):
            (<ShapeCheck>note).failure = retold_preparing((<ShapeCheck>note).statement, whole)
            return 0
        if isinstance(note, Naming):
            note = (<Naming>note).renamed
        if isinstance(note, Renamed):
            self.instead = message(b'E', (<Renamed>note).retold(whole))
        elif isinstance(note, Statement) and (<Statement>note).by_sql:
            self.instead = message(b'E', retold_preparing(<Statement>note, whole))
        elif isinstance(note, bytes) and <bytes>note in whole and self.borrower is not None:
            name = self.borrower.called(<bytes>note)
            if name is not None:
                self.instead = message(b'E', whole.replace(<bytes>note, name))
        return 0

    cdef int plan_changed(self, PyObject* note) except -1:
        """A Bind or Describe failed since the result of its statement has other columns now.

        The name stays with the old plan, for those clients that were told the old columns; it ages out.
        """
        cdef Statement each
        if note == NULL:
            return 0
        if isinstance(<object>note, Description):
            return self.context.statements.retire((<Description>note).statement)
        if isinstance(<object>note, Renamed):
            if len((<Renamed>(<object>note)).executed) == 1:
                self.context.statements.retire((<Renamed>(<object>note)).executed[0])
            return 0
        for statement in self.prepared:
            each = <Statement>statement
            if each.name == <object>note:
                return self.context.statements.retire(each)
        return 0

    cdef int missing(self, bytes whole) except -1:
        """A statement is not here, though it should be: a function has dropped it. Who uses it next brings it."""
        for statement in list(self.prepared):
            if b'"' + (<Statement>statement).name + b'"' in whole:
                del self.prepared[statement]
        return 0

    cdef int undo(self, object note, bint failed) except -1:
        """A request was void: a statement that it would have prepared is not there. `failed`: it is the error's own."""
        cdef Statement statement
        if isinstance(note, Statement):
            statement = <Statement>note
            self.prepared.pop(statement, None)
        elif isinstance(note, Closing):
            self.prepared[(<Closing>note).statement] = None
        elif isinstance(note, Naming) and not (<Naming>note).closing and (<Naming>note).reply is None:
            self.prepared.pop((<Naming>note).statement, None)
        elif isinstance(note, Naming) and (<Naming>note).at_server:
            self.prepared = (<Naming>note).dropped
        if self.borrower is not None:
            self.borrower.statement_failed(note, failed)
        return 0

    cdef int parameter_reply(self, const char* body, Py_ssize_t size) except -1:
        cdef ReplyQueue queue = self.queue
        name_bytes, value = messages.parse_parameter_status(PyBytes_FromStringAndSize(body, size))
        cdef str name = name_bytes.decode("utf-8", "surrogateescape")
        if self.reported.values.get(name) != value:
            self.reported = self.context.interned.changed(self.reported, {name: value})
        if self.borrower is None or (queue.count and not is_told_all(queue.ring[queue.first].action)):
            self.untold = True
            return SWALLOW
        self.borrower.parameter_changed(name, value)
        return FORWARD

    cdef int answer_locals(self) except -1:
        """It is the turn of what the proxy answers itself."""
        cdef ReplyQueue queue = self.queue
        cdef object reply
        while queue.count and queue.ring[queue.first].kind >= LOCAL:
            queue.pop()
            reply = (<Naming>queue.finished).reply if isinstance(queue.finished, Naming) else queue.finished
            if reply is not None and self.borrower is not None:
                self.borrower.relay(PyBytes_AS_STRING(<bytes>reply), PyBytes_GET_SIZE(<bytes>reply))
            queue.finished = None
        return 0
