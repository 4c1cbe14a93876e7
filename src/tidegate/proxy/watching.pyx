"""What a client's statements may change without the proxy's knowing, from their being sent to the transaction's end.

Owns what a statement makes likely (`touch`), what it may reach in functions (`foresee`) while others change these
(`doubt`), and what an audit would name (`hear`). Refuses to ask the server: `borrowing` does for settings, `pinning` for
all else, `audit` for what nobody suspects.
"""

from random import random

from tidegate.proxy.audit cimport inject_audit
from tidegate.proxy.borrowing cimport Borrowing
from tidegate.proxy.pinning cimport Pinning
from tidegate.proxy.relay cimport Relay
from tidegate.proxy.sequences cimport read_sequences
from tidegate.proxy.subscription cimport ABOUT_CHANNELS, foresee_channels
from tidegate.session.facts cimport (
    BEGINS, DDL, DISCARD_ALL, ENDS, LOCALLY, MAKES_CODE, PINS, PLAIN, READS_SEQUENCES, RESET_ALL, RESHAPES, SINGLE,
    TOUCHES, Facts, make_facts,
)
from tidegate.session.findings cimport facts_of_setting
from tidegate.session.scanner cimport scan
from tidegate.wire.postgres.messages cimport bound_value
from tidegate.session.candidates import custom_names
from tidegate.session.pins import PinReason

cdef enum:
    HEARD = 50  # statements of a transaction that an audit names
    SHOWN = 200  # bytes of each
    DOUBTS_KEPT = 64  # texts that differ
    DOUBT_SIZE = 16384  # bytes of one

UNKNOWN = make_facts(1, SINGLE | PINS)
UNKNOWN.pin = PinReason.UNREAD_CODE


cdef class Watching(Pinning):
    cdef int touch(self, Facts facts) except -1:
        """A statement in whatever surroundings: what it may have changed is asked for when the transaction ends."""
        if facts is PLAIN or facts is None:
            return 0
        self.disturbed = True
        if facts.flags & LOCALLY:
            self.locally = True
        if facts.pin is not None:
            self.may_leave(facts.pin, b"")
        if facts.flags & ABOUT_CHANNELS or facts.flags & DISCARD_ALL and self.hearing is not None:
            foresee_channels(<Borrowing>self, facts)
        if facts.flags & RESHAPES:
            # A Parse in this transaction is not for others to share, nor one of before for those who come after.
            # (A temporary object is its session's own.)
            self.reshapes = facts.pin is not PinReason.TEMP_OBJECT
            if self.reshapes:
                self.context.statements.renew()
            if self.touched is None:
                self.touched = set()
        if facts.flags & DDL and (self.settings.temporary or self.probes):
            # The path leads to the temporary schema, or that is being asked for.
            self.may_leave(PinReason.TEMP_OBJECT, b"search_path")
        if not facts.flags & (TOUCHES | RESET_ALL | DISCARD_ALL):
            return 0
        if facts.flags & (RESET_ALL | DISCARD_ALL):
            self.stain = 0  # it no longer has what it left elsewhere
        if self.touched is None:
            self.touched = set()
        self.touched.update(facts.touched)
        if not facts.replayable:
            self.reset_touched = True
        return 0

    cdef int touch_bound(self, Facts facts, const char* body, Py_ssize_t size) except -1:
        """Settings that are named by parameters of this Bind."""
        cdef bytes name
        for number in facts.bound:
            name = bound_value(body, size, number)
            if name is None or not name.isascii():
                self.may_leave(PinReason.DYNAMIC_SET, b"set_config($" + str(number).encode())
            else:
                self.touch(facts_of_setting(name))
        return 0

    cdef int foresee(self, Facts facts, const char* text, Py_ssize_t size) except -1:
        """Before a statement goes out, where `facts` or the catalogue's state say that its text does not say all."""
        if facts.flags & READS_SEQUENCES or (facts.pin is not None and (facts.pin.anything or facts.pin.lasting)):
            read_sequences(self, facts)
        if self.wary and not (facts.flags & SINGLE and facts.flags & (BEGINS | ENDS | MAKES_CODE)):
            self.may_leave(PinReason.UNREAD_CODE, text[:min(size, SHOWN)])  # it may use what this transaction has made
        elif self.catalogue.changing:
            self.doubt(text, size)
        self.make_wary(facts)
        if facts.flags & MAKES_CODE:
            self.touched.update(custom_names(text[:size]))  # of this nothing may be left to be read
        return 0

    cdef int make_wary(self, Facts facts) except -1:
        """Such a statement runs: does the catalogue say something else behind it?"""
        if facts.flags & MAKES_CODE or (
                facts.flags & RESHAPES and facts.flags & (TOUCHES | PINS) and facts.pin is not PinReason.TEMP_OBJECT):
            self.wary = True
            if self.touched is None:
                self.touched = set()
        if facts.pin is not None and (facts.pin.anything or facts.pin is PinReason.DYNAMIC_SET):
            self.catalogue.doubted()
        return 0

    cdef int doubt(self, const char* text, Py_ssize_t size) except -1:
        """Judge this text once more before the server is given back: others have changed what its names may mean."""
        if self.pin is not None:
            return 0
        if self.doubts is None:
            self.doubts = []
        if size > DOUBT_SIZE:
            return self.touch(UNKNOWN)
        if text[:size] not in self.doubts:
            if len(self.doubts) == DOUBTS_KEPT:
                return self.touch(UNKNOWN)
            self.doubts.append(text[:size])
        if self.touched is None:
            self.touched = set()
        return 0

    cdef bint judge(self) except -1:
        """Whether all that ran has been judged by the names that hold now; if not, `resume_release` comes."""
        if self.catalogue.changing:
            self.catalogue.wait(self)
            return False
        self.judge_texts()
        return True

    cdef int judge_texts(self) except -1:
        """Judge what ran while the catalogue changed by what is known of it now."""
        cdef bytes text
        doubts, self.doubts = self.doubts, None
        for text in doubts:
            self.touch(scan(text, len(text), self.scs_on, self.trail, self.catalogue.names))
        return 0

    cdef bint is_audited(self) except -1:
        """Whether this transaction's end is to be audited; asked once for each."""
        cdef list heard = self.heard
        if not heard:
            return False
        if self.pin is None and random() < self.gate.proxy.session_audit:
            return True
        heard.clear()
        return False

    cdef int audit(self) except -1:
        """Ask the server, though nothing was suspected."""
        heard, self.heard = self.heard, []
        inject_audit(<Relay>self, heard)
        self.context.to_servers.flush()
        return 0

    cdef int hear(self, bytes text) except -1:
        """A statement runs: an audit would name it."""
        if len(self.heard) < HEARD:
            self.heard.append(text[:SHOWN])
        return 0
