"""Carrying what a client's statements change: settings and prepared statements.

Owns the notes on the reply queue that take effect when the server has answered. Refuses to guess: a value is the
server's answer to a probe, or was such an answer to the same text before.

Four ways, cheapest first. A `SET x = const` on its own, seen before: its outcome is remembered by text and takes
effect when it succeeds. RESET and DISCARD on their own: likewise, without any value. A `SET` on its own, new: a probe
of that setting follows in the same write. Anything else (within a transaction, among other statements, set_config):
the names are collected, and probed after the transaction's end; where a statement may have set anything (`full`), all
that pg_settings knows to be the session's own is asked for, and those settings by name that it does not list.
"""

from tidegate.proxy.client cimport ENTERING, RUNNING
from tidegate.proxy.relay cimport Relay
from tidegate.proxy.server cimport Injection, Server
from tidegate.wire.postgres.messages cimport ready_for_query
from tidegate.session.pins import PinReason
from tidegate.session.settings import IDENTITY, TEMP_SCHEMA, full_probe_sql, probe_sql, quick_probe_sql, told

# CommandComplete of what empties the name space of prepared statements.
cdef frozenset ALL_FORGOTTEN = frozenset((b"DEALLOCATE ALL\0", b"DISCARD ALL\0"))


cdef enum:
    MOST = 1000  # settings that functions of one database touch, to be asked for together


cdef class Replay(Injection):
    cdef int finished(self, Server server) except -1:
        cdef Relay client = self.client
        if self.error is not None:
            # The server ends itself (see session.settings.replay_sql); should it not, it must not be used again.
            server.tainted = True
        elif client.server is server and client.phase == RUNNING:
            client.sync_parameters()
        return 0

    cdef str explained(self, object error):
        """Which of several it was is not said, and hardly matters: mostly it is one, and its value is in the words."""
        names = sorted({name for name, _ in self.before.values.items() ^ self.wanted.values.items()})
        return (f"could not bring this session's settings ({', '.join(names)}) to another server connection: "
                f"{error.message}")


cdef int inject_probe(Relay client, object names, bint quick, bytes text) except -1:
    """Ask the client's server for present values. `quick`: none of them was reset. `text`: remember the answer."""
    cdef Probe probe = Probe()
    probe.names = sorted(names)
    if "search_path" in names and text is None:
        probe.names.append(TEMP_SCHEMA)
    probe.quick = quick
    probe.text = text
    return probe.ask(client, quick_probe_sql(probe.names) if quick else probe_sql(probe.names))


cdef class Probe(Injection):
    cdef int ask(self, Relay client, bytes sql) except -1:
        self.client = client
        client.context.counters.probes += 1
        client.probes += 1
        return client.server.inject(sql, self)

    cdef int ask_for_all(self, Relay client, set names) except -1:
        """Ask for these, for what the session and its server are known to have, and for what pg_settings shows.

        And for the custom settings of this database's functions.
        """
        names = names.union(IDENTITY, client.settings.values, client.server.applied.values)
        if client.catalogue.names is not None and len(client.catalogue.names.settings) <= MOST:
            names |= client.catalogue.names.settings
        self.names = sorted(names)
        return self.ask(client, full_probe_sql(self.names))

    cdef int finished(self, Server server) except -1:
        cdef Relay client = self.client
        cdef dict at_server = {}, wanted = {}
        client.probes -= 1
        if self.error is not None:
            # What is set is unknown now: nobody else may get this server.
            client.closes_server = server.tainted = True
            return 0
        if self.quick:
            for name, value in zip(self.names, self.table(len(self.names), 1)[0]):
                self.one_value(at_server, wanted, name, told(value), True)
        else:
            for row in self.table(3, len(self.names)):
                self.one_value(at_server, wanted, (row[0] or b"").decode(), told(row[1]), row[2] == b"t")
        if wanted.pop(TEMP_SCHEMA, None) is not None:
            # The path may have led a CREATE to the temporary schema, now or in the transaction that has ended.
            client.may_leave(PinReason.TEMP_OBJECT, b"search_path")
        at_server.pop(TEMP_SCHEMA, None)
        interned = server.context.interned
        server.applied = interned.changed(server.applied, at_server)
        client.settings = interned.changed(client.settings, wanted)
        if self.text is not None and len(self.names) == 1 and at_server[self.names[0]] is not None:
            client.remember(self.text, self.names[0], at_server[self.names[0]])
        return 0

    cdef bytes login_name(self, str name):
        """What session_authorization is if nobody has set it."""
        if name != "session_authorization":
            return None
        return (<str>self.client.pool.key[1]).encode("utf-8", "surrogateescape")

    cdef int one_value(self, dict at_server, dict wanted, str name, bytes value, bint own) except -1:
        """`own`: the session set it; otherwise the server has its own value, and the client its default's."""
        if own and name in IDENTITY and not (self.quick and name in self.client.defaults.values):
            # pg_settings lists neither: they are the session's own if they differ from what a login makes them.
            own = value != b"none" and value != self.login_name(name)
        at_server[name] = value if own else None
        wanted[name] = value if own else self.client.defaults.values.get(name)
        return 0


cdef class Assigned(Outcome):
    """`SET x = const` (or RESET x) on its own."""

    cdef int finished(self, Server server) except -1:
        cdef Relay client = self.client
        if self.error is not None:
            return 0
        interned = server.context.interned
        value = self.value if self.value is not None else client.defaults.values.get(self.name)
        server.applied = interned.changed(server.applied, {self.name: value})
        client.settings = interned.changed(client.settings, {self.name: value})
        return 0


cdef class ResetAll(Outcome):
    """RESET ALL or DISCARD ALL on its own."""

    cdef int finished(self, Server server) except -1:
        cdef Relay client = self.client
        if self.error is not None:
            return 0
        kept = {} if self.discard else {
            name: value for name, value in server.applied.values.items() if name in IDENTITY
        }
        client.settings = server.applied = server.context.interned.changed(client.defaults, kept)
        client.stain = server.stain = 0
        if self.discard:
            server.forget_statements()
            client.statements = None
        return 0


cdef class Deallocated(Outcome):
    """DEALLOCATE ALL or DISCARD ALL, perhaps among other statements.

    Among others it may have run before one that fails; since no rollback undoes it, it counts from its own answer on.
    """

    cdef int completed(self, Server server, bytes tag) except -1:
        if tag in ALL_FORGOTTEN:
            self.counted = True
            server.forget_statements()
            self.client.statements = None
        return 0

    cdef int finished(self, Server server) except -1:
        if self.error is None and not self.counted:
            server.forget_statements()
            self.client.statements = None
        return 0


cdef class DeallocatedOne(Outcome):
    """DEALLOCATE of a statement that the client prepared by protocol."""

    cdef int finished(self, Server server) except -1:
        if self.error is None:
            server.prepared.pop(self.statement, None)
            if self.client.statements is not None:
                self.client.statements.pop(self.name, None)
        return 0


cdef class Restored(Injection):
    """The session's own defaults followed a RESET; the two are one answer to the client."""

    cdef int finished(self, Server server) except -1:
        cdef Relay client = self.client
        if self.error is not None and server.status == b'I':
            server.tainted = client.closes_server = True
        if client.server is server:
            client.sync_parameters()
            if not (server.holds_ready and server.is_ready_held()):
                client.send_bytes(ready_for_query(server.status))
        return 0


cdef class Validation(Injection):
    """A server was asked whether it takes the start-up parameters."""

    cdef int finished(self, Server server) except -1:
        cdef Relay client = self.login.client
        cdef list values = []
        if client.server is not server or client.phase != ENTERING:
            # The client has left; what the server took of its parameters is not known to be anyone's.
            server.tainted = True
            return 0
        if self.error is None:
            values = [told(value) for value in self.table(len(self.wanted), 1)[0]]
            server.applied = server.context.interned.intern(dict(zip(self.wanted, values)))
        self.login.validated(values, self.error)
        return 0
