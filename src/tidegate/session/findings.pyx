"""Collects what the scanner finds in one text.

Owns what each kind of statement and each name means for the session: the tables from keyword or directive to flag and
pin reason, and the settings that are special. Refuses to read text: scanner.pyx and directives.pyx do.
"""

from tidegate.session.directives cimport (
    D_AUTHORIZATION, D_CHARACTERISTICS, D_DEALLOCATE, D_DEALLOCATE_ALL, D_DISCARD_ALL, D_DISCARD_OTHER,
    D_PREPARE_TRANSACTION, D_RESET_ALL, D_SETTING, D_UNKNOWN_SETTING, D_UNLISTEN, D_UNLISTEN_ALL, Directive,
)
from tidegate.session.facts cimport (
    ABOUT_BACKENDS, BEGINS, COPIES, DDL, DEALLOCATE_ALL, DEALLOCATE_ONE, DISCARD_ALL, DISCARD_OTHER, ENDS, FREES, LISTENS,
    LOCALLY, NAMES, NOTIFIES, PINS, READS_SEQUENCES, RESET_ALL, RESHAPES, SINGLE, TOUCHES, UNLISTENS, Facts, Place,
    make_facts, shared_facts,
)
from tidegate.session.keywords cimport (
    K_ABORT, K_ABOUT_BACKENDS, K_ADVISORY_LOCK, K_ADVISORY_UNLOCK, K_ALTER, K_BEGIN, K_CALL, K_CLOSE, K_COPY, K_COUNT,
    K_CREATE, K_DDL, K_DO, K_LISTEN, K_LOAD, K_NOTIFY, K_READS_SEQUENCE, K_RUNS_TEXT, K_SESSION_FUNCTION, K_SETSEED,
    K_UNLISTEN,
)
from tidegate.session.names cimport Effect

from tidegate.session.pins import PinReason
from tidegate.session.parse_context import PARSE_CONTEXT

# First keyword of a statement -> flag, pin reason.
cdef dict LEAD = {
    K_ABORT: (ENDS, None),
    K_ALTER: (DDL | RESHAPES, None),
    K_BEGIN: (BEGINS, None),
    K_CALL: (0, PinReason.CALL),
    K_CLOSE: (FREES, None),
    K_COPY: (COPIES, None),
    K_CREATE: (DDL | RESHAPES, None),
    K_DDL: (DDL, None),
    K_DO: (0, PinReason.DO_BLOCK),
    K_LISTEN: (LISTENS, None),
    K_LOAD: (0, PinReason.LOAD),
    K_NOTIFY: (NOTIFIES, None),
    K_UNLISTEN: (UNLISTENS, None),
}

# Directive -> flag, pin reason; those about one setting are in Findings.setting.
cdef dict DIRECTIVE_FACTS = {
    D_DEALLOCATE: (DEALLOCATE_ONE, None),
    D_DEALLOCATE_ALL: (DEALLOCATE_ALL, None),
    D_DISCARD_ALL: (DISCARD_ALL, None),
    D_DISCARD_OTHER: (DISCARD_OTHER, None),
    D_PREPARE_TRANSACTION: (ENDS, None),
    D_RESET_ALL: (RESET_ALL, None),
}

# Name anywhere -> pin reason.
cdef dict NAME_PINS = {
    K_ADVISORY_LOCK: PinReason.ADVISORY_LOCK,
    K_RUNS_TEXT: PinReason.UNREAD_CODE,
    K_SESSION_FUNCTION: PinReason.SESSION_FUNCTION,
    K_SETSEED: PinReason.SETSEED,
}

cdef tuple CHARACTERISTICS = (
    "default_transaction_isolation", "default_transaction_read_only", "default_transaction_deferrable",
)
# Set anew at the start of every transaction, so a SET of these ends with it.
cdef frozenset TRANSACTION_ONLY = frozenset(
    ("transaction_isolation", "transaction_read_only", "transaction_deferrable")
)
# Names that the server still takes for others (guc.c, map_old_guc_names).
cdef dict OLD_NAMES = {"sort_mem": "work_mem", "vacuum_mem": "maintenance_work_mem"}
# The result depends on more than the text: on the old value, on search_path.
cdef frozenset NOT_REPLAYABLE = frozenset(("datestyle", "default_text_search_config", "session_authorization"))

cdef unsigned int LEAD_FLAG[K_COUNT]        # LEAD as arrays: every statement is looked up
cdef bint LEAD_PINS[K_COUNT]


cdef int build_lead() except -1:
    cdef int keyword
    for keyword, (flag, reason) in LEAD.items():
        LEAD_FLAG[keyword] = flag
        LEAD_PINS[keyword] = reason is not None
    return 0


build_lead()


cdef str canonical_name(bytes name):
    """A setting's name (ASCII) as the server compares it."""
    cdef str folded = name.decode("ascii").lower()
    return OLD_NAMES.get(folded, folded)


cdef class Findings:
    """What has been found in the text so far."""

    cdef void reset(self) noexcept:
        """Makes ready for the next text."""
        self.statements = 0
        self.flags = 0
        self.touched = self.places = self.bound = None
        self.reason = self.deallocate = self.set_default = self.unlistened = None
        self.replayable = False

    cdef int lead(self, int keyword) except -1:
        """A statement starts with the keyword, or K_NONE."""
        self.statements += 1
        self.flags |= LEAD_FLAG[keyword]
        return self.pin(LEAD[keyword][1]) if LEAD_PINS[keyword] else 0

    cdef int name(self, int keyword) except -1:
        """A name that counts wherever it stands."""
        if keyword == K_ADVISORY_UNLOCK:
            self.flags |= FREES
            return 0
        if keyword == K_ABOUT_BACKENDS:
            self.flags |= ABOUT_BACKENDS
            return 0
        if keyword == K_READS_SEQUENCE:
            self.flags |= READS_SEQUENCES
            return 0
        return self.pin(NAME_PINS[keyword])

    cdef int directive(self, const Directive *d, bint odd_path) except -1:
        """A statement that directives.pyx has read. odd_path: its value may hide pg_temp."""
        if d.kind in DIRECTIVE_FACTS:
            flag, reason = DIRECTIVE_FACTS[d.kind]
            self.flags |= <unsigned int>flag
            self.pin(reason)
            if d.kind == D_DEALLOCATE and self.deallocate is None:
                self.deallocate = d.name[:d.n]
        elif d.kind == D_UNLISTEN or d.kind == D_UNLISTEN_ALL:
            self.unlisten(None if d.kind == D_UNLISTEN_ALL else d.name[:d.n])
        elif d.kind == D_UNKNOWN_SETTING:
            if not d.local:
                self.touch_unknown()
        elif d.kind == D_CHARACTERISTICS:
            if not d.local:
                for name in CHARACTERISTICS:
                    self.touch(name)
        elif d.kind == D_SETTING or d.kind == D_AUTHORIZATION:
            self.setting(d, odd_path)
        return 0

    cdef int setting(self, const Directive *d, bint odd_path) except -1:
        """SET or RESET of one setting."""
        cdef str name = canonical_name(d.name[:d.n])
        if name == "search_path" and odd_path:
            self.pin(PinReason.TEMP_OBJECT)
        if not d.local or name == "seed":                       # SET LOCAL seed is not undone at the end
            self.touch(name)
        elif name in PARSE_CONTEXT:
            self.flags |= LOCALLY
        if not d.local and self.touched is not None and name in self.touched:
            if d.to_default:
                self.set_default = name
            self.replayable = d.constant and name not in NOT_REPLAYABLE
        return 0

    cdef int unlisten(self, bytes name) except -1:
        """The session must know what it listens to, in order to give it up or to tell it."""
        self.flags |= UNLISTENS
        if self.unlistened is None:
            self.unlistened = []
        self.unlistened.append(name)
        return 0

    cdef int touch(self, str name) except -1:
        """The session value of the setting (a canonical_name) may change."""
        if name == "seed":
            return self.pin(PinReason.SETSEED)
        if name in TRANSACTION_ONLY:
            return 0
        if self.touched is None:
            self.touched = {}
        self.touched[name] = None
        if name == "session_authorization":
            self.touched["role"] = None                         # it ends a SET ROLE
        return 0

    cdef int touch_unknown(self) except -1:
        self.flags |= TOUCHES
        return self.pin(PinReason.DYNAMIC_SET)

    cdef int bind(self, int param) except -1:
        """The setting is named by a parameter."""
        if self.bound is None:
            self.bound = []
        self.bound.append(param)
        self.flags |= TOUCHES
        return 0

    cdef int place(self, int kind, bytes name, Py_ssize_t start, Py_ssize_t end, Py_ssize_t stop) except -1:
        """Here a prepared statement is named, or all of them are dropped."""
        if self.places is None:
            self.places = []
        self.places.append(Place(kind, name, start, end, stop))
        if name is not None:
            self.flags |= NAMES
        return 0

    cdef int hidden(self, Effect effect) except -1:
        """A name was used behind which something may change."""
        self.flags |= effect.flags
        for name in effect.touched:
            self.touch(name)
        if effect.pin is PinReason.DYNAMIC_SET:
            return self.touch_unknown()
        return self.pin(effect.pin) if effect.pin is not None else 0

    cdef int pin(self, object reason) except -1:
        if reason is not None and (self.reason is None or reason.weight > self.reason.weight):
            self.reason = reason
        return 0

    cdef Facts result(self):
        cdef Facts facts
        cdef bint single = self.statements == 1
        if single:
            self.flags |= SINGLE
        if (self.touched is None and self.reason is None and self.unlistened is None and self.bound is None
                and not self.flags & (NAMES | DEALLOCATE_ONE)):
            return shared_facts(self.statements, self.flags)
        facts = make_facts(self.statements, self.flags)
        if self.touched is not None:
            facts.flags |= TOUCHES
            facts.touched = tuple(self.touched)
        if self.reason is not None:
            facts.flags |= PINS
            facts.pin = self.reason
        facts.deallocate = self.deallocate
        if self.flags & NAMES:
            facts.places = tuple(self.places)
        if self.bound is not None:
            facts.bound = tuple(self.bound)
        if self.unlistened is not None:
            facts.unlistened = tuple(self.unlistened)
        if single:
            facts.set_default = self.set_default
            facts.replayable = self.replayable and self.reason is None
        return facts


cdef Facts facts_of_setting(bytes name):
    """What set_config() of this name may do."""
    cdef Findings found = Findings()
    found.reset()
    found.statements = 2  # it is not known to stand alone
    found.touch(canonical_name(name))
    if found.touched is not None and "search_path" in found.touched:
        found.pin(PinReason.TEMP_OBJECT)  # the value may be pg_temp
    return found.result()
