"""A client and the server it borrows: when it needs one, what is replayed, when it is given back, what keeps it.

Owns the session's side of lending, and the steps of the login that need a server. Refuses to choose the server (`Door`)
and to know what a client's messages mean (`simple`, `prepared`, `relay`).

A client without a server borrows one at the first message that needs one, and gives it back when ReadyForQuery says
that no transaction is open and nothing is owed. At borrow, what the server lacks of this client's settings goes out
ahead of the message, in the same write.

What a transaction's statements may have done unseen is asked for between its end and the server's return: settings
(`probe`), then what can't be carried (`pinning`). Where a setting may have been made whose name nobody knows, the session
leaves a mark on the server (`stain`): for itself all is well there; another gets it after RESET ALL, in the same write.
"""

from tidegate.pool.slot cimport Slot
from tidegate.proxy.client cimport ARRIVING, DISCARD, ENTERING, RUNNING, WAITING, Client
from tidegate.proxy.sequences cimport may_give_up, sequences_pass_to, settle_sequences
from tidegate.proxy.server cimport READY, Injection, Server
from tidegate.proxy.subscription cimport adopt, sender_done
from tidegate.proxy.tracking cimport Probe, Replay, Validation, inject_probe
from tidegate.proxy.watching cimport UNKNOWN, Watching
from tidegate.session.statements cimport Statement
from tidegate.wire.postgres.integers cimport get32
from tidegate.wire.postgres.messages cimport error_response, ready_for_query
from tidegate.wire.postgres.replies cimport FORWARD, LOCAL
from tidegate.config.model import Lending
from tidegate.errors import CloseReason, PgError, Sqlstate, UntoldError
from tidegate.proxy.clearance import Clearance
from tidegate.session.databases import read_database_statement
from tidegate.session.pins import PinReason
from tidegate.session.settings import set_config_told

cdef object ROTATE = Lending.ROTATE
cdef bytes IDLE = ready_for_query(b'I')


cdef class Question(Injection):
    """Something asked at a client's server, for which the client waits."""
    cdef object done

    cdef int finished(self, Server server) except -1:
        self.done(self.rows, self.error)
        return 0


cdef class Borrowing(Watching):
    cdef bint need_server(self) except -1:
        """Whether the message can be dealt with now; if not, the client is in the queue."""
        if self.server is not None:
            return self.hearing is None or self.may_send()
        if self.context.draining:
            self.refuse(PgError("terminating connection due to administrator command", Sqlstate.ADMIN_SHUTDOWN,
                                "FATAL"), CloseReason.SHUTDOWN)
            return False
        self.door.borrow(self)
        return self.server is not None and (self.hearing is None or self.may_send())

    cdef bint may_send(self) noexcept:
        """Whether what is sent now will be known for this client's own."""
        if self.hearing.opening or self.hearing.busy():
            self.unsure = True
            return False
        return True

    cdef int lent(self, Server server) except -1:
        server.attach(self)
        sequences_pass_to(self, server)
        if self.hearing is not None:
            self.hearing.lent(server)
        self.note_move((<Slot>server.slot).number)
        if self.phase == ENTERING:
            self.ticket = None
            self.since = self.context.loop.now
            if not server.dedicated:
                self.outfit(server)
            self.login.server_lent(self, server)
            if self.phase == RUNNING and self.server is server and not server.tunnel:
                if server.queue.count:
                    self.outfit(server)  # it can't be given back yet, and the client may go on before it is
                self.maybe_release()
            return 0
        self.phase = RUNNING
        self.outfit(server)
        if self.ticket is not None:
            self.ticket = None
            self.served_at = self.context.loop.now
            self.run_held()
            self.context.to_servers.flush()
        return 0

    cdef void note_move(self, long number) noexcept:
        """Count whether this is another server than the last."""
        if self.last == number:
            self.context.counters.stays += 1
        else:
            if self.last:
                self.context.counters.moves += 1
            self.last = number

    cdef int outfit(self, Server server) except -1:
        """Make the server this client's: settings ahead of everything else."""
        cdef Replay replay
        cdef bytes sql
        cdef bint stained = server.stain != 0 and server.stain != self.stain
        if server.applied is not self.settings or stained:
            if self.moved:
                self.rebase(server.initial)
            before = server.applied
            if stained:
                sql = self.context.interned.wash(before, self.settings)
                server.stain = 0
            else:
                sql = self.context.interned.replay(before, self.settings)
            server.applied = self.settings
            if sql:
                self.context.counters.replays += 1
                replay = Replay()
                replay.client = self
                replay.before = before
                replay.wanted = self.settings
                server.inject(sql, replay)
                return 0
        if server.reported is not self.seen and self.phase == RUNNING:
            self.sync_parameters()
        return 0

    cdef int rebase(self, initial) except -1:
        """Take another init_query's values for defaults; what the session has set itself stays."""
        own = {name: value for name, value in self.settings.values.items() if self.defaults.values.get(name) != value}
        interned = self.context.interned
        self.defaults = interned.changed(initial, self.given.values)
        self.settings = interned.changed(self.defaults, own)
        self.moved = False
        return 0

    cdef int settled(self) except -1:
        if self.phase == ENTERING:
            return 0
        if self.ready_held:
            return self.hearing.settle()
        self.active_at = self.context.loop.now
        self.unsettled = None
        if self.clearance is not None and self.clearance.granted:
            self.clearance.over()
        if self.server.reported is not self.seen:
            self.sync_parameters()
        if self.finished:
            return self.leave(CloseReason.CLIENT_LEFT)
        if self.parting:
            self.parting = False
            self.maybe_release()
            return 0 if self.parting else self.progressed()
        if self.unsure:
            if self.reset_touched and self.defaults.values and self.server.status == b'I':
                return self.probe()
            if self.server.applied is not self.settings and self.server.status == b'I':
                self.outfit(self.server)
            return self.progressed()
        return self.maybe_release()

    cdef int progressed(self) except -1:
        """What was on its way has come, at least in part: try the message again that waits for it."""
        if self.rotates and self.owed_nothing():
            self.part()
        if not self.unsure or self.parting or self.ready_held:
            return 0
        if self.processing:
            # This is within its own reading of a message, which is about to be held back.
            self.context.loop.call_later(0, self.proceed)
            return 0
        self.unsure = False
        return self.run_held()

    cdef bint hold_ready(self) except -1:
        self.ready_held = self.hearing is not None
        return self.ready_held

    cdef bint notified(self, Server server, bytes body) except -1:
        return True if self.hearing is None else self.hearing.from_server(server, body)

    cdef bint adopt_channels(self) except -1:
        return adopt(self)

    cdef bint may_go(self, bytes text) except -1:
        """Whether a statement that changes the catalogue can go out now; if not, its message is tried again."""
        cdef Server server = self.server
        if self.clearance is None:
            if server.status != b'I' or server.queue.open_batch:
                return True  # the database refuses it within a transaction
            statement = read_database_statement(text, self.scs_on, self.trail)
            if statement is None:
                return True
            if server.queue.count:
                self.unsure = True
                return False
            self.clearance = Clearance(self, statement)
            self.clearance.begin()
        if not self.clearance.granted:
            self.unsure = True
            return False
        return True

    def proceed(self):
        """What the message that is held back has waited for is there."""
        if self.phase == RUNNING:
            self.progressed()
            self.context.to_servers.flush()
            self.context.to_clients.flush()

    def ask_aside(self, bytes sql, done):
        """Have the client's server, at which nothing is under way, answer a question: `done(rows, error)` follows."""
        cdef Question question = Question()
        question.done = done
        self.server.inject(sql, question)
        self.context.to_servers.flush()

    def refuse_held(self, error):
        """The message that is held back comes to nothing."""
        self.unsure = False
        self.fail_request(error)
        self.context.to_servers.flush()

    cdef int maybe_release(self) except -1:
        """Give the server back if nothing holds it."""
        cdef Server server = self.server
        if (server.status != b'I' or server.queue.count or server.queue.open_batch or self.body_left
                or server.phase != READY or self.clearance is not None):
            return 0
        self.locally = False
        if self.hearing is not None and self.hearing.keeps_server():
            return 0
        if self.for_unnamed and (self.unnamed is None or self.unnamed.content is not None):
            self.unpin()
            self.touch(UNKNOWN)  # nobody has read what it did
        if self.touched is not None:
            return self.probe()
        if self.suspected is not None or (self.pin is not None and self.may_be_gone()):
            self.part()
            self.outfit(server)  # the client's next message may come before the answer
            return self.look()
        if self.heard is not None and self.is_audited():
            self.part()
            self.outfit(server)
            return self.audit()
        if self.notifies:
            sender_done(self)
        self.context.counters.transactions += 1
        if self.context.draining:
            return self.refuse(PgError("terminating connection due to administrator command",
                                       Sqlstate.ADMIN_SHUTDOWN, "FATAL"), CloseReason.SHUTDOWN)
        if self.reads_sequences:
            settle_sequences(self)
        if self.pin is not None:
            if server.applied is not self.settings:
                self.outfit(server)
                self.context.to_servers.flush()
            return 0
        return self.give_back()

    cdef int give_back(self) except -1:
        cdef Server server = self.server
        server.detach()
        server.lender.take_back(server)
        if self.hearing is not None:
            self.hearing.given_back()
        return 0

    cpdef int check(self, double now) except -1:
        if self.keeps_values and self.phase == RUNNING and may_give_up(self, now):
            self.keeps_values = False
            self.unpin()
            self.give_back()
            self.context.to_servers.flush()
            self.context.to_clients.flush()
        return Watching.check(self, now)

    cdef int resume_release(self) except -1:
        """The catalogue is known as it was when this client's last transaction ended, or later."""
        cdef Server server = self.server
        if server is None or self.phase != RUNNING or server.status != b'I' or server.queue.count:
            return 0  # it has gone on, and waits again at its next end
        if self.doubts is not None:
            self.judge_texts()
        return self.maybe_release()

    cdef void part(self) noexcept:
        """Something is to be asked before the server goes back; a client that rotates does not go on there meanwhile."""
        if self.rotates:
            self.parting = self.unsure = True

    cdef bint owed_nothing(self) noexcept:
        """Whether its transaction has ended, and what its server still has to answer was slipped in."""
        cdef Server server = self.server
        return (server is not None and server.status == b'I' and not server.queue.open_batch and self.body_left == 0
                and server.queue.count > 0 and not server.queue.owes_replies())

    cdef int probe(self) except -1:
        cdef bint full, reset
        if self.wary:
            self.wary = False
            self.catalogue.changed()
        if self.doubts is not None and not self.judge():
            return 0
        full = self.anything
        reset = self.reset_touched
        names = self.touched
        if self.reshapes:
            self.reshapes = False
            self.context.statements.renew()
        self.touched = None
        self.reset_touched = self.anything = False
        if full:
            if not self.stain:
                self.context.marks += 1
                self.stain = self.context.marks
            self.server.stain = self.stain
            (<Probe>Probe()).ask_for_all(self, names)
        else:
            if reset:
                names = names.union(self.settings.values, self.server.applied.values)
            if not names:
                return self.maybe_release()
            inject_probe(self, names, not reset, None)
        self.part()
        self.context.to_servers.flush()
        return 0

    def remember(self, bytes text, str name, bytes value):
        """What a SET came to, for the next client that sends the same text."""
        self.gate.worker.remember_set(text, name, value)

    cdef tuple settled_context(self):
        """What is set of what parsing depends on; None while that is not known."""
        return None if self.touched or self.reset_touched or self.locally else self.settings.parse_context

    cdef object context_of_parse(self):
        """What the meaning of a statement depends on; unique while it is not known what is set."""
        return self.settings.parse_context if self.touched is None and not self.locally else object()

    cdef Statement named(self, bytes name):
        """The client's statement of that name, or None."""
        return None if self.statements is None else <Statement>self.statements.get(name)

    cdef int answer(self, bytes reply) except -1:
        """A reply of the proxy's own, in its turn."""
        if self.server is None or self.server.queue.count == 0:
            return self.send_bytes(reply)
        return self.server.queue.push(LOCAL, FORWARD, reply)

    cdef bint is_dirty(self) noexcept:
        return self.touched is not None or self.probes > 0 or Watching.is_dirty(self)

    cdef int server_lost(self, object error) except -1:
        if isinstance(error, UntoldError):
            return self.refuse(error, CloseReason.SERVER_LOST)
        if self.finished and self.pin is PinReason.REPLICATION:
            # Its server has read its end, and answered with its own.
            self.context.to_clients.flush()
            return self.leave(CloseReason.CLIENT_LEFT)
        return Client.server_lost(self, error)

    cdef int drained(self) except -1:
        if self.slow_server and self.server is not None and self.server.stream.out_len == 0:
            self.slow_server = False
            self.run_held()
        return Client.drained(self)

    cdef int refused(self, object error) except -1:
        """The pool will not lend a server."""
        self.ticket = None
        if self.phase == ENTERING:
            fatal = PgError(error.message, error.sqlstate, "FATAL", error.detail, error.hint)
            return self.refuse(fatal, CloseReason.LOGIN_REFUSED)
        if self.phase != WAITING:
            return 0
        self.phase = RUNNING
        if error.severity in ("FATAL", "PANIC"):
            return self.refuse(error, CloseReason.SERVER_LOST)
        return self.fail_request(error)

    cdef int fail_request(self, object error) except -1:
        """Answer the waiting request with an error: it is the first thing in `held`."""
        cdef int type = <unsigned char>self.held.data[0] if self.held.size else b'S'
        self.send_bytes(error_response(error))
        if type == b'Q' or type == b'F':
            self.body_left = get32(self.held.data + 1) + 1
            self.body_mode = DISCARD
            self.send_bytes(IDLE)
        else:
            self.skip_to_sync = True
        self.run_held()
        self.context.to_clients.flush()
        return 0

    def cancel_waiting(self):
        """A cancel request came while the client is in the queue. Returns whether it was."""
        if self.phase != WAITING or self.ticket is None:
            return False
        self.door.abandon(self)
        self.refused(PgError("canceling statement due to user request", Sqlstate.QUERY_CANCELED,
                             detail="The statement had not been sent to the database yet."))
        return True

    def change_target(self, target):
        """Its servers come from there from now on: nobody calls this while it has one."""
        self.door = target
        target.change_pool(self)
        if self.hearing is not None:
            self.hearing.moved()

    # --- called by the login --------------------------------------------------------------------------------------

    def wait_for_role(self):
        """Read nothing more until resume_login(); what the wait takes is not counted as the client's time."""
        self.login.asked_at = self.context.loop.now
        self.phase = ENTERING

    def resume_login(self, step):
        """Go on with the login by calling `step`, then with the bytes that came meanwhile."""
        if self.phase != ENTERING:
            return
        self.phase = ARRIVING
        self.since += self.context.loop.now - self.login.asked_at
        try:
            step()
        except PgError as error:
            self.refuse(error, CloseReason.LOGIN_REFUSED)
            return
        if self.phase == ARRIVING or self.phase == RUNNING:
            self.run_held()
        self.context.to_servers.flush()
        self.context.to_clients.flush()

    cdef int enter_pool(self) except -1:
        """Borrow a server in order to learn or check parameters."""
        self.phase = ENTERING
        self.door.borrow(self)
        return self.context.to_servers.flush()

    def abandon_for_another(self):
        """Give back the server of the pool that turned out to be the wrong one."""
        cdef Server server = self.server
        if server is not None:
            server.detach()
            if server.queue.count == 0:
                server.lender.take_back(server)

    def validate(self, wanted):
        """Have the server check start-up parameters."""
        cdef Validation validation = Validation()
        validation.login = self.login
        self.server.inject(
            b"SELECT " + b",".join([set_config_told(name, value) for name, value in wanted.items()]), validation)
        validation.wanted = wanted
        self.context.to_servers.flush()

    cdef int begin(self, object defaults, object given, object seen, double idle_timeout) except -1:
        """The login is complete, and the greeting staged."""
        self.settings = self.defaults = defaults
        self.given = given
        self.moved = False
        self.seen = seen
        self.scs_on = seen.scs_on
        self.trail = seen.trail
        self.role_idle_timeout = idle_timeout
        self.login = None
        self.phase = RUNNING
        if self.gate.proxy.session_audit > 0:
            self.heard = []
        self.rotates = self.gate.proxy.lending is ROTATE
        self.active_at = self.context.loop.now
        self.context.to_clients.flush()
        if not self.processing:
            self.run_held()
        return 0
