"""The answer of the scanner; see facts.pyi for the fields."""

cpdef enum ScanFlag:
    SINGLE = 1              # exactly one statement
    TOUCHES = 2             # a setting of the session, named in `touched` or (then PINS is set too) unknown
    RESET_ALL = 4
    DISCARD_ALL = 8
    DISCARD_OTHER = 16      # DISCARD PLANS, TEMP, SEQUENCES
    DEALLOCATE_ONE = 32
    DEALLOCATE_ALL = 64
    PINS = 128
    BEGINS = 256            # some statement starts with BEGIN or START
    ENDS = 512              # ... with COMMIT, ROLLBACK, END, ABORT, or is PREPARE TRANSACTION
    COPIES = 1024           # ... with COPY
    DDL = 2048              # changes the catalogue; for information
    RESHAPES = 4096         # ... with ALTER, CREATE, DROP: other statements' results may have other columns then
    FREES = 8192            # may give back what pins: CLOSE, an unlock (DROP RESHAPES; DISCARD has flags of its own)
    NAMES = 16384           # names prepared statements, in `places`
    MAKES_CODE = 32768      # CREATE FUNCTION, PROCEDURE, EXTENSION: what the new functions change is not known yet
    LISTENS = 65536         # ... with LISTEN
    UNLISTENS = 131072      # ... with UNLISTEN, `unlistened` says of what; or names pg_listening_channels
    NOTIFIES = 262144       # ... with NOTIFY, or names pg_notify
    LOCALLY = 524288        # sets for its transaction alone (SET LOCAL) what the meaning of other texts depends on
    ABOUT_BACKENDS = 1048576  # names pg_backend_pid, pg_terminate_backend or pg_cancel_backend
    READS_SEQUENCES = 2097152  # names currval or lastval, or what reaches them


cpdef enum PlaceKind:
    PREPARES = 1            # PREPARE name
    EXECUTES = 2            # EXECUTE name, also behind EXPLAIN and CREATE TABLE ... AS
    DROPS = 3               # DEALLOCATE name
    DROPS_ALL = 4           # DEALLOCATE ALL, DISCARD ALL


cdef class Place:
    cdef readonly int kind              # PlaceKind
    cdef readonly bytes name            # as PostgreSQL folds it; None: all
    cdef readonly Py_ssize_t start
    cdef readonly Py_ssize_t end
    cdef readonly Py_ssize_t stop


cdef class Facts:
    cdef readonly int statements
    cdef readonly unsigned int flags
    cdef readonly tuple touched
    cdef readonly object pin
    cdef readonly bytes deallocate
    cdef readonly tuple bound
    cdef readonly tuple unlistened
    cdef readonly object set_default
    cdef readonly bint replayable
    cdef readonly tuple places


cdef Facts EMPTY            # no statement
cdef Facts PLAIN            # one statement and nothing suspicious

cdef Facts make_facts(int statements, unsigned int flags)
cdef Facts shared_facts(int statements, unsigned int flags)
