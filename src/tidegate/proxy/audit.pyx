"""The tracker's audit: the probe and the look after transactions of which nothing was suspected (`session_audit`).

Owns the questions and the report of what they find. Refuses to do anything else about it: what is found is taken over as
any other answer is. It shares the blind spots of both questions (custom settings that nobody names).
"""

from tidegate.proxy.pinning cimport Look
from tidegate.proxy.relay cimport Relay
from tidegate.proxy.server cimport Server
from tidegate.proxy.tracking cimport Probe


cdef int inject_audit(Relay client, list heard) except -1:
    """Ask the client's server, between transactions, whether all is as it is believed to be."""
    cdef AuditProbe probe = AuditProbe()
    cdef AuditLook look = AuditLook()
    client.context.counters.audits += 1
    probe.heard = look.heard = heard
    probe.ask_for_all(client, set())
    return look.ask(client)


cdef class AuditProbe(Probe):
    cdef int finished(self, Server server) except -1:
        cdef list changed
        cdef str name
        before = server.applied
        self.seen = {}
        Probe.finished(self, server)
        if self.error is None and server.applied is not before:
            changed = []
            for name, value in self.seen.items():
                # A SET to what the value is anyway, or one that was rolled back, is no state; nor is the '' that a custom
                # setting reads wherever a function has had it for a moment.
                unset = server.applied.values.get(name) is None or (value == b"" and "." in name)
                if before.values.get(name, value if unset else None) != value:
                    changed.append(name)
            if changed:
                self.client.gate.missed(self.client, sorted(changed), self.heard)
        return 0

    cdef int one_value(self, dict at_server, dict wanted, str name, bytes value, bint own) except -1:
        self.seen[name] = value
        return Probe.one_value(self, at_server, wanted, name, value, own)


cdef class AuditLook(Look):
    cdef int finished(self, Server server) except -1:
        cdef Relay client = <Relay>self.client
        was = client.pin
        Look.finished(self, server)
        if client.pin is not was:
            client.gate.missed(client, [str(client.pin)], self.heard)
        return 0
