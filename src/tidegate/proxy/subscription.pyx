"""A client that listens, and the way of its channels from its server to the shared listener.

Owns what happens at the end of a transaction that said LISTEN, UNLISTEN or NOTIFY, and when a client may hear: between
its transactions, never amid a result. Refuses the connection that listens (`notifications`), to read SQL (the scanner
does) and to settle what a transaction has come to (`session.channels`).

A client's LISTEN goes to its server as it stands, so errors, blocks, savepoints and rollbacks are PostgreSQL's own. Its
ReadyForQuery is held back when that transaction is over, until these steps are done (`Step`):

1. The server is asked what it listens to; `settle` makes of it what the client listens to now.
2. The shared listener listens to what is new. The server still does, too, so nothing is missed.
3. The server sends a NOTIFY to a channel that only it and the shared listener listen to: the fence. PostgreSQL has one
   order of all notifications, so what comes before the fence the client gets from its server, what comes behind it from
   the shared listener: everything once, in order. (`session.mailbox` says how channels that it had before fit in; for
   that its server listens to these, too, from the transaction of its first LISTEN on.)
4. The server listens to nothing any more, and can be lent to anybody.
5. What this transaction itself has sent is waited for (`SharedListener.fence`): directly, too, it comes before its
   COMMIT's ReadyForQuery.

If the shared listener can't be connected, the client keeps its server, which listens for it: a pin like another.
"""

from functools import partial

from cpython.bytes cimport PyBytes_AS_STRING

from tidegate.proxy.borrowing cimport Borrowing
from tidegate.proxy.client cimport RUNNING, WAITING
from tidegate.proxy.hearing cimport Hearing
from tidegate.proxy.context cimport HIGH_WATER
from tidegate.proxy.gate cimport Gate
from tidegate.proxy.notifications cimport SharedListener
from tidegate.proxy.server cimport Injection, Server
from tidegate.proxy.target cimport Target
from tidegate.session.facts cimport (
    COPIES, DISCARD_ALL, ENDS, LISTENS, NOTIFIES, SINGLE, UNLISTENS, Facts, make_facts,
)
from tidegate.wire.postgres.integers cimport get32, put32
from tidegate.wire.postgres.messages cimport message, ready_for_query
from tidegate.session.channels import CHANNELS_SQL, MARKER, UNLISTEN_ALL_SQL, fence_sql, listen_sql, settle
from tidegate.session.encodings import recoded
from tidegate.session.mailbox import Mailbox
from tidegate.session.pins import PinReason
from tidegate.session.settings import told

cdef bytes IDLE = ready_for_query(b'I')

ANY_CHANNELS = make_facts(2, LISTENS | UNLISTENS)  # what a text may do that nobody has read yet

cdef enum:
    MOST_PENDING = 8388608  # bytes for a client that does not read, or ends no transaction: PostgreSQL's queue is as long

# Who has a server of its own, or keeps this one in any case, has it listen as a direct connection does.
cdef frozenset LISTENS_ITSELF = frozenset(
    (PinReason.SESSION_MODE, PinReason.STARTUP_OPTION, PinReason.REPLICATION, PinReason.LISTEN))


cdef class Told(Injection):
    """The channels of a server."""
    cdef Subscription subscription

    cdef int finished(self, Server server) except -1:
        return self.subscription.told(server, self.rows, self.error)


cdef class Fenced(Injection):
    """The fence was sent."""
    cdef Subscription subscription

    cdef int finished(self, Server server) except -1:
        return self.subscription.arrived() if self.error is not None else 0


cdef class Unlistened(Injection):
    """UNLISTEN * ran."""
    cdef Subscription subscription

    cdef int finished(self, Server server) except -1:
        return self.subscription.unlistened_there(server, self.error)


cdef SharedListener listener_of(Borrowing client, bint make):
    """The shared listener of a client's database; None if there is none and none is to be made."""
    cdef Target target = <Target>client.door
    database = client.pool.key[0]
    return target.listeners.of(database) if make else target.listeners.find(database)


cdef int foresee_channels(Borrowing client, Facts facts) except -1:
    """A statement that is about channels is about to be sent, or was."""
    cdef Subscription subscription
    if client.pin in LISTENS_ITSELF or client.server is None:
        return 0
    if client.hearing is None and facts.flags & LISTENS:
        subscription = Subscription(client, listener_of(client, True))
        client.hearing = subscription
        client.server.holds_ready = True
    if facts.flags & NOTIFIES:
        sender_known(client)
    if client.hearing is not None and facts.flags & (LISTENS | UNLISTENS | DISCARD_ALL):
        client.hearing.at_server = True
    return 0


cdef int prepare_channels(Borrowing client, Facts facts) except -1:
    """The same, of one that was not sent yet: something may go ahead of it."""
    foresee_channels(client, facts)
    if client.hearing is not None and facts.flags & (LISTENS | UNLISTENS) and client.server is not None:
        (<Subscription>client.hearing).ahead(facts)
    return 0


cdef bint adopt(Borrowing client) except -1:
    """The client's server listens, though no text said so: whether its channels go to the shared listener instead."""
    if client.pin in LISTENS_ITSELF:
        return False
    if client.hearing is None:
        client.hearing = Subscription(client, listener_of(client, True))
        client.server.holds_ready = True
    client.hearing.at_server = True
    return True


cdef int mark_behind(Borrowing client, Facts facts) except -1:
    """Send what must follow a statement that ends listening, in its transaction."""
    cdef list markers
    if client.hearing is not None and client.server is not None:
        markers = (<Subscription>client.hearing).markers(facts)
        if markers:
            client.server.slip_in(markers)
    return 0


cdef unsigned int known_pid(Borrowing client) except? 0:
    """The pid of the client's BackendKeyData."""
    return (<Gate>client.gate).keys.pid_of(client)


cdef int sender_known(Borrowing client) except -1:
    """What the client's server sends from now on is the client's."""
    cdef SharedListener listener = listener_of(client, False)
    if listener is not None:
        client.notifies = True
        listener.senders[client.server.pid] = known_pid(client)
    return 0


cdef int sender_done(Borrowing client) except -1:
    """The client's transaction is over: what was sent until now is its own still."""
    cdef SharedListener listener = listener_of(client, False)
    client.notifies = False
    if listener is not None:
        past = partial(forget_sender, listener, client.server.pid, known_pid(client))
        if not listener.fence(past):
            past()
    return 0


def forget_sender(SharedListener listener, pid, known):
    """Whoever has that server now sends for itself."""
    if listener.senders.get(pid) == known:
        del listener.senders[pid]


cdef class Subscription(Hearing):
    def __init__(self, Borrowing client, SharedListener listener):
        self.client = client
        self.listener = listener
        self.user = client.pool.key[1]
        self.pid = known_pid(client)
        self.channels = set()
        self.arriving = set()
        self.unlistened = []
        self.mailbox = Mailbox(MOST_PENDING, listener.missed_notice)

    # --- the client's statements ----------------------------------------------------------------------------------

    cdef int ahead(self, Facts facts) except -1:
        """Have the server listen to what the client does, where that is needed: see `session.mailbox`, `markers`."""
        cdef Server server = self.client.server
        if not self.channels or self.complete is not None:
            return 0
        if not facts.flags & LISTENS and facts.flags & SINGLE and b"" not in facts.unlistened:
            return 0
        if server.status == b'I' and not server.queue.open_batch and not server.queue.owes_replies():
            # Besides, no marker could say what comes of each of several statements.
            self.complete = Injection()
            server.inject(self.listen(self.channels), self.complete)
        elif facts.flags & LISTENS and server.status != b'E':
            self.listen_as_before()
        return 0

    def listen_as_before(self):
        """Within the client's transaction; what it has given up there is not to be taken up again."""
        cdef set former = set() if None in self.unlistened else self.channels.difference(self.unlistened)
        if former:
            self.client.server.slip_in([self.listen([channel]) for channel in former])

    def listen(self, channels):
        """LISTEN in the client's session."""
        return listen_sql(channels, self.listener.encoding)

    def recoded(self, bytes name, bint to_client):
        """A channel's name from the database's encoding to the client's, or back."""
        if self.listener.encoding is None:
            return name
        if to_client:
            return recoded(name, self.listener.encoding, self.encoding())
        return recoded(name, self.encoding(), self.listener.encoding)

    cdef list markers(self, Facts facts):
        """A LISTEN for each channel that the statement gives up. None behind several statements that may come to
        nothing while the LISTEN does not, or may be waiting for COPY's data.
        """
        cdef list found = []
        if self.complete is not None or not self.channels:
            return found
        if not facts.flags & SINGLE and (facts.flags & (ENDS | COPIES) or self.client.server.status != b'T'):
            return found
        for name in (None,) if facts.flags & DISCARD_ALL else facts.unlistened:
            if name is None or name in self.channels:
                found.append(listen_sql([<bytes>MARKER + b"%d" % len(self.unlistened)]))
                self.unlistened.append(name)
        return found

    # --- the client's server --------------------------------------------------------------------------------------

    cdef int lent(self, Server server) except -1:
        """From the moment at which the listener has heard all that was sent before, the server sends for this client."""
        server.holds_ready = True
        self.opening = self.listener.fence(partial(self.opened, server))
        return 0

    def opened(self, Server server):
        """The client may begin."""
        if self.client.server is not server or self.client.hearing is not self:
            return
        self.opening = False
        self.know(server)
        try:
            self.client.progressed()
        except Exception as error:
            self.client.failed(error)  # its own fault, in the listener's turn
        self.client.context.to_servers.flush()

    def know(self, Server server):
        """What this server sends from now on is the client's own."""
        self.forget()
        self.listener.senders[server.pid] = self.pid
        self.known_at = server.pid

    def forget(self):
        """The client no longer has the server that it had."""
        if self.known_at:
            forget_sender(self.listener, self.known_at, self.pid)
            self.known_at = 0

    cdef int given_back(self) except -1:
        self.forget()
        return self.deliver()

    cdef bint from_server(self, Server server, bytes body) except -1:
        """The client's server sends a notification: what the listener does not, or not yet, waits for its moment."""
        cdef char shown[4]
        cdef bytes channel = self.recoded(body[4:body.index(b"\0", 4)], False)
        if channel == self.listener.fence_channel:
            self.server_fenced()
        elif not self.mailbox.server_is_done:
            if get32(PyBytes_AS_STRING(body)) == server.pid:
                put32(shown, self.pid)
                body = shown[:4] + body[4:]
            self.mailbox.told(message(b'A', body), channel in self.channels and channel not in self.arriving)
        return False

    cdef bint busy(self) noexcept:
        return self.step != RESTING

    cdef bint keeps_server(self) except -1:
        """It listens still, or ReadyForQuery has still to be sent."""
        if self.opening:
            return True
        if self.step == RESTING and not self.at_server:
            return False
        self.settle()
        return True

    cdef int settle(self) except -1:
        cdef Told note
        if self.step == DONE:
            return self.finish()
        if self.step != RESTING or (self.at_server and self.client.body_left):
            return 0  # (amid a message nothing can be asked)
        if not self.at_server:
            self.wait_for_own()
            return self.finish() if self.step == DONE else 0
        self.step = ASKING
        note = Told()
        note.subscription = self
        self.client.server.inject(CHANNELS_SQL, note)
        return self.client.context.to_servers.flush()

    cdef int told(self, Server server, list rows, object error) except -1:
        """Step 1: the server has said what it listens to."""
        cdef set new
        if self.client.server is not server:
            return 0
        if error is not None:
            return self.keep_at_server()
        at_server = [told(row[0]) for row in rows]
        wanted = settle(self.channels, at_server, self.unlistened,
                        self.complete is not None and self.complete.error is None)
        new = wanted - self.channels
        if not self.channels <= wanted:
            self.give_up(self.channels - wanted)
        if new:
            if not self.channels:
                self.listener = listener_of(self.client, True)  # the former may be given up by now
            self.step = JOINING
            self.arriving = new
            return self.listener.join(self, new)
        if at_server:
            return self.unlisten()
        self.at_rest()
        return self.wait_for_own()

    def give_up(self, set channels):
        """It listens to these no more. What came during the transaction PostgreSQL would read only now, and drop."""
        self.listener.leave(self, channels)
        self.channels -= channels
        self.mailbox.drop({self.recoded(channel, True) for channel in channels})

    cdef int joined(self) except -1:
        """Step 2: the shared listener listens."""
        if self.step == JOINING and self.client.server is not None:
            self.hand_over()
        return 0

    cdef int refused(self) except -1:
        if self.step == JOINING and self.client.server is not None:
            self.keep_at_server()
        return 0

    cdef int hand_over(self) except -1:
        """Step 3: the fence."""
        cdef Fenced note = Fenced()
        self.step = HANDING_OVER
        self.fence = self.listener.new_fence(self)
        note.subscription = self
        self.client.server.inject(fence_sql(self.listener.fence_channel, self.fence), note)
        return self.unlisten()

    cdef int arrived(self) except -1:
        """The shared listener has come to the fence, or is lost, and begins anew with all channels."""
        self.mailbox.listener_passed_fence()
        self.channels |= self.arriving
        return 0

    cdef int server_fenced(self) except -1:
        """The server has come to the fence."""
        self.mailbox.server_passed_fence()
        return 0

    cdef int unlisten(self) except -1:
        """Step 4."""
        cdef Unlistened note = Unlistened()
        self.step = UNLISTENING
        note.subscription = self
        self.client.server.inject(UNLISTEN_ALL_SQL, note)
        return self.client.context.to_servers.flush()

    cdef int unlistened_there(self, Server server, object error) except -1:
        if self.client.server is not server:
            return 0
        if error is not None:
            server.tainted = self.client.closes_server = True
        self.at_rest()
        return self.wait_for_own()

    def at_rest(self):
        """The server listens to nothing."""
        self.server_fenced()
        self.at_server = False
        self.complete = None
        self.unlistened = []

    def all_arrived(self):
        """There is nothing left to be handed over."""
        self.channels |= self.arriving
        self.arriving = set()
        self.mailbox.settle()

    cdef int wait_for_own(self) except -1:
        """Step 5."""
        self.step = WAITING_FOR_OWN
        if not ((self.channels or self.arriving) and self.listener.fence(self.own_heard)):
            self.step = DONE  # `settle` is called as soon as the server's answer has been read
        return 0

    def own_heard(self):
        """The shared listener has heard all that this transaction has sent."""
        if self.step == WAITING_FOR_OWN and self.client.hearing is self:
            try:
                self.finish()
            except Exception as error:
                self.client.failed(error)  # its own fault, in the listener's turn

    cdef int finish(self) except -1:
        """Tell the client that its transaction is over, behind what it was to hear before."""
        cdef Borrowing client = self.client
        cdef Subscription alive = self  # the client's may be the last reference to it
        cdef bint over
        self.step = RESTING
        self.all_arrived()
        over = not self.channels
        client.notifies = False
        if client.server is not None:
            self.know(client.server)  # all that it has sent until now is heard, and it may keep this server
        if over:
            self.forget()
            client.hearing = None
            if client.server is not None:
                client.server.holds_ready = False
        self.send_pending()
        if client.ready_held:
            client.ready_held = False
            client.send_bytes(IDLE)
        if client.server is not None and client.server.queue.count == 0:
            client.settled()
        alive.client.context.to_clients.flush()
        return 0

    cdef int keep_at_server(self) except -1:
        """The channels can't be handed over: the client keeps its server, which listens for it."""
        cdef Borrowing client = self.client
        cdef Server server = client.server
        if self.channels and self.complete is None:
            server.inject(self.listen(self.channels), Injection())
            client.context.to_servers.flush()
        if self.channels:
            self.mailbox.heard(self.listener.missed_notice)
        self.closed()
        self.channels = set()
        self.arriving = set()
        client.pin_down(PinReason.LISTEN, b"LISTEN")
        return self.finish()

    # --- hearing --------------------------------------------------------------------------------------------------

    cdef bint is_free(self) noexcept:
        """Whether the client is between two transactions, and reads."""
        cdef Borrowing client = self.client
        cdef Server server = client.server
        if self.step != RESTING or client.stream.out_len > HIGH_WATER:
            return False
        if client.phase == WAITING or server is None:
            return client.phase == WAITING or client.phase == RUNNING
        return (client.phase == RUNNING and server.status == b'I' and server.queue.count == 0
                and not server.queue.open_batch and client.body_left == 0)

    cdef int hear(self, bytes message) except -1:
        if not self.mailbox and self.is_free():
            self.client.context.counters.notifications_sent += 1
            return self.client.send_bytes(message)
        self.mailbox.heard(message)
        return 0

    cdef int deliver(self) except -1:
        if self.mailbox and self.is_free():
            self.send_pending()
            self.client.context.to_clients.flush()
        return 0

    def send_pending(self):
        """Tell the client all that has waited."""
        for each in self.mailbox.take():
            self.client.context.counters.notifications_sent += 1
            self.client.send_bytes(each)

    cdef object encoding(self):
        return self.client.seen.values.get("client_encoding", b"")

    # --- ends -----------------------------------------------------------------------------------------------------

    cdef int moved(self) except -1:
        """To another database server: what is sent there is heard as soon as the listener there has its channels."""
        self.closed()
        self.listener = listener_of(self.client, True)
        self.listener.missed = True
        self.listener.registry.add(self, self.channels)
        return self.listener.sync()

    cdef int closed(self) except -1:
        self.forget()
        return self.listener.leave(self, self.channels | self.arriving)
