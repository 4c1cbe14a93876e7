"""One database server as a worker sees it: carries out what the pool decides.

Owns server connections from opening to closing, credentials, and the connection limit that the database's own settings
make. Refuses to decide who gets a server: that is `pool`.
"""

import random
from collections import OrderedDict
from functools import partial
from typing import NamedTuple
from weakref import WeakKeyDictionary

from tidegate.auth.scram_keys cimport ScramKeys
from tidegate.pool.actions cimport Close, Lend, Open
from tidegate.pool.governor cimport Governor
from tidegate.pool.pool cimport Pool
from tidegate.pool.slot cimport Slot, Ticket
from tidegate.proxy.backend cimport Backend
from tidegate.proxy.catalogue cimport Catalogues
from tidegate.proxy.client cimport ENTERING, WAITING, Client, Door
from tidegate.proxy.context cimport Context
from tidegate.proxy.lookout cimport Lookout
from tidegate.proxy.notifications cimport Listeners
from tidegate.proxy.poolinfo cimport PoolInfo
from tidegate.proxy.resting cimport Resting
from tidegate.proxy.server cimport LOGGING_IN, READY, Injection, Server
from tidegate.auth.backend import PasswordCredential, ScramCredential, VerifierOutdated
from tidegate.errors import CloseReason, InitQueryError, PgError, Sqlstate
from tidegate.pool.slot import SlotState
from tidegate.pool.suspension import suspend
from tidegate.proxy.initializing import Initialization
from tidegate.proxy.limits import pool_limits, server_limits
from tidegate.proxy.opening import ServerLogin
from tidegate.proxy.poolkeys import PARAMETERS, SHARED, is_dedicated, pool_key
from tidegate.proxy.regrouping import regroup
from tidegate.proxy.waited import borrow_timeout, timed_out

cdef enum:
    DEEPEST = 16  # clients in a row that give a server back as soon as they get it, before the stack is unwound

cdef int LENT_STATE = int(SlotState.LENT)
cdef int CLOSING_STATE = int(SlotState.CLOSING)

INFOS_KEPT = 10_000
ASK_PERIOD = 0.0005  # seconds between two calls to other workers for a slot


class Startup(NamedTuple):
    """What the server of a dedicated pool is started with: `parameters` of its start-up packet, settings `given` there."""

    parameters: dict[bytes, bytes]
    given: frozenset[str]
    proxy: object


cdef class Harmless(Injection):
    """Settings that would end an idle server, or break what is injected, were reset before it is lent again."""

    cdef int finished(self, Server server) except -1:
        if self.error is not None:
            server.tainted = True
        return 0


cdef class Target(Door):
    def __init__(self, Context context, worker, config, budget, address, number):
        self.context = context
        self.worker = worker
        self.config = config
        self.budget = budget
        self.number = number
        self.address = address
        self.infos = OrderedDict()
        self.proxies = {}
        self.startups = WeakKeyDictionary()
        self.credentials = {}
        self.servers = set()
        self.vacated = {}
        self.resting = Resting(self)
        self.catalogues = Catalogues(self)
        self.listeners = Listeners(self)
        self.own = worker.config.workers
        self.shared = worker.config.workers > 1
        if config.max_connections is not None:
            budget.limit = config.max_connections
        self.limit_seen = budget.limit
        self.governor = Governor(
            budget, self.limits_of, server_limits(config, max(self.limit_seen, 1)), random.Random())
        self.lookout = Lookout(context.loop, self.governor, self.act)

    # --- pools ----------------------------------------------------------------------------------------------------

    def key_of(self, database, user, proxy):
        """The name of the pool of a database and a user for clients of this proxy."""
        return pool_key(self.worker.config.proxies, proxy, database, user)

    cpdef Pool pool(self, tuple key, object proxy):
        """The pool of this name, with the limits of the proxy by which its clients come."""
        cdef Pool found
        self.proxies[key] = proxy
        found = self.governor.pool(key, self.context.loop.now)
        if self.vacated and key[0] in self.vacated:
            suspend(self.governor, found, self.vacated[key[0]], CloseReason.SERVER_VACATED, self.context.loop.now)
        return found

    def dedicated_pool(self, key, startup, given, proxy):
        """A pool of one server, for one client of pool `key`, started with the client's own parameters.

        `given`: the settings that are named in these.
        """
        self.dedicated += 1
        pool = self.governor.pool((*key[:SHARED], str(self.dedicated)), self.context.loop.now)
        self.startups[pool] = Startup(startup, frozenset(given), proxy)
        return pool

    def limits_of(self, key):
        """PoolLimits of a pool: from the entries of its database and the listed user."""
        return pool_limits(key, self.proxies.get(key), self.worker.config, self.config.name)

    cpdef PoolInfo info(self, tuple key):
        """What is known of a pool."""
        cdef PoolInfo found
        key = key[:PARAMETERS]
        found = <PoolInfo>self.infos.get(key)
        if found is None:
            found = self.infos[key] = PoolInfo(
                self.context.interned, self.number, key, self.worker.tell_supervisor)
            if len(self.infos) > INFOS_KEPT:
                self.infos.popitem(last=False)
        return found

    def forget_database(self, database):
        """It may be made anew, or be gone: what its servers have told holds no longer, but for those that may be lent."""
        lent = {server.slot.pool.key[:PARAMETERS] for server in self.servers
                if server.slot.generation == server.slot.pool.generation}
        for key in [key for key in self.infos if key[0] == database and key not in lent]:
            del self.infos[key]
        self.catalogues.forget(database)

    def regroup(self):
        """The proxies have other settings: see `regrouping`."""
        regroup(self, self.worker.config.proxies, self.worker.gates.values(), self.context.loop.now)
        self.relimit()
        self.act()

    def change_pool(self, Client client):
        """The client's proxy has another pool for it now."""
        proxy = client.gate.proxy
        client.pool = self.pool(self.key_of(client.pool.key[0], client.pool.key[1], proxy), proxy)
        client.catalogue = self.catalogues.of(client.pool.key[0])
        client.elsewhere = False
        client.moved = True

    cdef bint holds_keys(self, str user, ScramKeys keys, bytes client_key) except -1:
        """Whether it is these keys that answer the database for a user."""
        known = self.credentials.get(user)
        return type(known) is ScramCredential and known.keys is keys and known.client_key == client_key

    cpdef int keep_credential(self, str user, object credential) except -1:
        """How to log in to the database as a user; a client has just shown that it knows."""
        known = self.credentials.get(user)
        if credential is None and known is not None:
            return 0  # a client of a proxy that trusts it has shown nothing
        if known is not credential and known != credential and not (
            # Keep the object that has its keys derived already.
            isinstance(known, PasswordCredential) and isinstance(credential, PasswordCredential)
            and known.password == credential.password
        ):
            self.credentials[user] = credential
        return 0

    # --- Door: the clients' side ----------------------------------------------------------------------------------

    cdef int borrow(self, Client client) except -1:
        cdef double now = self.context.loop.now
        cdef Slot slot
        cdef long avoids = client.last if client.rotates else 0
        if client.elsewhere:
            self.change_pool(client)
        slot = self.governor.borrow(
            client.pool, now, client.settings, avoids, client.last if client.catalogue.reads_sequences else 0)
        self.context.counters.borrows += 1
        if slot is not None:
            return client.lent(<Server>slot.handle)
        client.ticket = self.governor.wait(client.pool, client, now, avoids)
        client.since = now
        if client.phase != ENTERING:
            client.phase = WAITING
        self.context.counters.borrow_waits += 1
        if (<Pool>client.pool).refusal is not None:
            self.context.loop.call_later(0, partial(self.turn_away, client.pool))
        if self.governor.must_plan(client.pool, now):
            self.act()
        if self.shared and client.ticket is not None and now - self.asked_at > ASK_PERIOD:
            self.asked_at = now
            self.worker.wake({*self.budget.givers(), *self.governor.sharing.givers()})
        return 0

    def turn_away(self, pool):
        """Tell those who came into the pause after a failed init_query why no server is opened for them."""
        for ticket in self.governor.turn_away(pool, self.context.loop.now):
            (<Client>ticket.owner).refused(pool.refusal)

    cdef int abandon(self, Client client) except -1:
        ticket = client.ticket
        client.ticket = None
        if ticket is not None and ticket.alive:
            self.governor.abandon(ticket)
        return 0

    # --- Lender: the servers' side --------------------------------------------------------------------------------

    cdef int identified(self, Server server) except -1:
        return self.note_backend(server)

    cdef int ready(self, Server server) except -1:
        return 0 if self.catalogues.detains(server) else self.resume(server)

    cpdef int resume(self, Server server) except -1:
        cdef double now = self.context.loop.now
        about = server.login.about
        key = server.slot.pool.key
        if about is not None and not server.dedicated:
            self.info(key).based_on(server.reported, server.initial, about.idle_session_timeout)
            self.learn_limit(about)
            if server.applied.hazard:
                self.make_harmless(server)
        server.login = self.last_error = None
        self.worker.database_logins.succeeded(self, key[1])
        self.context.counters.servers_opened += 1
        if self.context.verbose:
            self.context.journal.server_opened(self.config.name, key, server.pid)
        self.governor.opened(server.slot, now)
        if about is not None:
            self.resting.opened(server, about.idle_session_timeout)
        return self.act()

    cdef int take_back(self, Server server) except -1:
        cdef Slot slot = <Slot>server.slot
        cdef double now = self.context.loop.now
        cdef Ticket ticket
        if server.phase != READY or server.borrower is not None or slot.state != LENT_STATE:
            return 0
        if server.cancels:
            return 0  # `cancel_ended` brings it back: a cancel must not hit the next client's statement
        if server.tainted:
            return self.close_server(slot, CloseReason.SERVER_UNCLEAN)
        if server.applied is not self.context.nothing and server.applied.hazard:
            self.make_harmless(server)
            return self.context.to_servers.flush()
        if self.catalogues.wanting and self.catalogues.take(server):
            return self.context.to_servers.flush()
        if self.lending < DEEPEST:
            ticket = self.governor.pass_on(slot, now)
            if ticket is not None:
                return self.lend(ticket, slot, now)
        slot.fit = server.applied
        if self.governor.give_back(slot, now):
            if self.lending < DEEPEST:
                self.act()
            else:
                self.context.loop.call_later(0, self.act)
        elif self.governor.unseen and self.shared:
            self.lookout.expect()
        return self.resting.came_back(server)

    cdef int make_harmless(self, Server server) except -1:
        """Reset what is set on a server that is to be idle; whoever borrows it brings that back."""
        sql = self.context.interned.replay(server.applied, self.context.interned.nothing)
        server.applied = self.context.interned.nothing
        return server.inject(sql, Harmless())

    cdef int lend(self, Ticket ticket, Slot slot, double now) except -1:
        """A client's turn has come."""
        cdef Client client = <Client>ticket.owner
        self.context.counters.borrow_wait_seconds += now - ticket.since
        self.lending += 1
        try:
            client.lent(<Server>slot.handle)
        except Exception as error:
            client.failed(error)  # its own fault, in somebody else's turn
        finally:
            self.lending -= 1
        return 0

    cdef int lost(self, Server server, object error) except -1:
        cdef double now = self.context.loop.now
        cdef Slot slot = <Slot>server.slot
        self.servers.discard(server)
        self.catalogues.lost(server)
        if slot.state != CLOSING_STATE:  # else close_server has counted it
            self.count_closed(server, CloseReason.SERVER_LOGIN_FAILED if server.login is not None
                              else CloseReason.SERVER_UNCLEAN if server.tainted else CloseReason.SERVER_LOST)
        self.context.counters.servers_closed += 1
        if server.login is not None:
            self.open_failed(server, error)
        self.governor.closed(slot, now)
        self.act()
        if self.shared:
            self.worker.wake({*self.budget.waiters(), *self.governor.sharing.waiters()})
        return 0

    cdef int open_failed(self, Server server, object error) except -1:
        """A server could not be opened: tell those clients whom no waiting helps."""
        cdef double now = self.context.loop.now
        self.context.counters.servers_failed += 1
        refused = error if error is None else self.worker.database_logins.refused(
            self, server.slot.pool.key[1], server.login.credential, error)
        if not isinstance(error, InitQueryError):
            self.last_error = error
            if error is None or error.severity not in ("FATAL", "PANIC"):
                refused = None
                self.address.failed()
        if isinstance(error, VerifierOutdated):
            self.credentials.pop(server.slot.pool.key[1], None)
            self.worker.targets.verifier_outdated(self, *server.slot.pool.key[:2])
        for ticket in self.governor.open_failed(server.slot, now, refused):
            (<Client>ticket.owner).refused(refused)
        if refused is not None and refused.sqlstate == Sqlstate.INVALID_CATALOG_NAME:
            self.forget_database(server.slot.pool.key[0])  # nobody is greeted in its name before it is there again
        self.worker.log.warning("cannot open a server connection to %s: %s", self.config.name, error)
        return 0

    cdef int cancel(self, Server server) except -1:
        self.worker.cancels.send(self, server, None)
        return 0

    def cancel_ended(self, Server server):
        """A cancel request for this server was dealt with, or given up (then the server is tainted)."""
        server.cancels -= 1
        if server.cancels == 0 and server.phase == READY and server.borrower is None and server.queue.count == 0:
            self.take_back(server)

    # --- carrying out ---------------------------------------------------------------------------------------------

    cpdef int act(self) except -1:
        """Do what the pool decides now."""
        cdef list actions = self.governor.plan(self.context.loop.now)
        if actions:
            self.carry_out(actions)
        return 0

    cdef int carry_out(self, list actions) except -1:
        """Lend, open and close."""
        cdef double now = self.context.loop.now
        for action in actions:
            if isinstance(action, Lend):
                self.lend((<Lend>action).ticket, (<Lend>action).slot, now)
            elif isinstance(action, Open):
                self.open_server((<Open>action).slot)
            else:
                self.close_server((<Close>action).slot, (<Close>action).reason)
        return 0

    cdef int open_server(self, object slot) except -1:
        """Begin to connect; `ready` or `lost` follows, never at once."""
        cdef Server server
        database, user, init_query = slot.pool.key[:3]
        startup = {b"user": user.encode("utf-8", "surrogateescape"),
                   b"database": database.encode("utf-8", "surrogateescape")}
        own = self.startups.get(slot.pool)
        if own is not None:
            startup.update(own.parameters)
        initialization = None
        if init_query and startup.get(b"replication", b"database") == b"database":  # a physical one takes no SQL
            initialization = Initialization(init_query, own.given if own is not None else ())
        credential = self.worker.database_logins.credential(self, user)
        login = ServerLogin(user, credential, startup, curious=own is None, initialization=initialization)
        server = Backend(self.context, self, slot, login, self.encryption)
        server.dedicated = own is not None
        proxy = own.proxy if own is not None else self.proxies.get(slot.pool.key)
        if proxy is not None:
            server.max_prepared = proxy.max_prepared_statements
        slot.handle = server
        self.servers.add(server)
        self.address.connect(server)
        server.port = self.address.local_port(server)
        self.note_backend(server)
        self.context.loop.call_later(self.config.server_login_timeout, lambda: self.check_login(server))
        return 0

    def check_login(self, Server server):
        """Give up on a server that has not logged in by now. One that runs init_query has its slot until it has ended."""
        if server.phase != LOGGING_IN:
            return
        doing = "running init_query" if server.login.initializing else "logging in to the database"
        error = PgError(f"timed out while {doing}", Sqlstate.CONNECTION_FAILURE)
        if not server.login.initializing:
            server.lose(error)
            return
        server.dying = error
        self.cancel(server)
        server.terminate()

    cdef int close_server(self, object slot, object reason) except -1:
        cdef Server server = <Server>slot.handle
        self.count_closed(server, reason)
        if slot.state < CLOSING_STATE:
            self.governor.closing(slot, self.context.loop.now)
        return server.terminate()

    def count_closed(self, Server server, reason):
        """One server more was closed for this reason."""
        if self.context.verbose:
            self.context.journal.server_closed(self.config.name, server.slot.pool.key, server.pid, reason)
        self.worker.servers_closed_by_reason[reason] = self.worker.servers_closed_by_reason.get(reason, 0) + 1

    def oldest_wait(self):
        """Seconds that the client has waited that came first of those who wait now; 0 if nobody does."""
        since = self.governor.oldest_wait_since()
        return 0.0 if since is None else self.context.loop.now - since

    cdef int note_backend(self, Server server) except -1:
        """Leave what is known of the backend where the supervisor finds it should this worker die."""
        self.budget.note(server.slot.budget_slot, server.pid, server.port)
        return 0

    def learn_limit(self, about):
        """The database has told how many connections it has."""
        self.budget.usable = about.usable
        self.set_limit()

    def set_limit(self):
        """Bring the limit, which is one for all workers, in line with the settings and with what the database has."""
        most = self.config.max_connections
        if most is None and self.budget.usable:
            most = max(1, self.budget.usable * self.config.max_connections_percent // 100 - self.own)
        if most is not None and most != self.budget.limit:
            self.budget.limit = most
            if self.shared:
                self.worker.wake(self.budget.waiters())
        if self.budget.limit != self.limit_seen:
            self.relimit()

    def relimit(self):
        """The settings or the limit have changed, here or in another worker: have them used."""
        self.limit_seen = self.budget.limit
        self.governor.relimit(server_limits(self.config, max(self.limit_seen, 1)), self.context.loop.now)

    # --- housekeeping ---------------------------------------------------------------------------------------------

    def sweep(self, double shortest_timeout):
        """Called every tick: late clients, old servers, minimum sizes.

        `shortest_timeout`: seconds, the least of all proxies' connection_borrow_timeout.
        """
        cdef double now = self.context.loop.now
        cdef Client client
        if self.budget.limit != self.limit_seen:
            self.relimit()
        for ticket in self.governor.overdue(now, shortest_timeout, borrow_timeout):
            client = <Client>ticket.owner
            self.context.counters.borrow_timeouts += 1
            error = timed_out(client.pool, borrow_timeout(client), self.budget.limit, self.last_error)
            self.context.journal.borrow_timeout(client.gate.proxy.name, client.pool.key, error)
            client.refused(error)
        self.carry_out(self.governor.sweep(now))
        self.act()
        self.resting.watch(now)
        self.listeners.check(now)

    def shut(self):
        """Close every server; the worker ends."""
        cdef Server server
        for server in list(self.servers):
            server.terminate()
        self.listeners.shut()

    def reconfigure(self, config):
        """Take new settings; the database is the same."""
        self.config = config
        self.set_limit()
        self.relimit()
        self.act()

    def retire(self):
        """This target has another address now: its servers close as they come back."""
        self.governor.retire(CloseReason.SERVER_RELOADED, self.context.loop.now)
        self.act()

    def stats(self):
        """Numbers of this target."""
        return self.governor.stats

    def pool_stats(self):
        """One object a pool that has servers or waiting clients."""
        cdef dict pools = {}
        for server in self.servers:
            pools[server.slot.pool.key] = server.slot.pool
        for pool in list(self.governor.ledger.queue):
            pools[pool.key] = pool
        return [
            {"target": self.config.name, "database": key[0], "user": key[1], "dedicated": is_dedicated(key),
             "servers": pool.held, "idle": len(pool.idle), "lent": pool.lent, "opening": pool.opening,
             "waiting": pool.waiting}
            for key, pool in pools.items()
        ]
