"""The words that can matter in a statement, and a fast way to tell that a word is none of them.

Owns the table of keywords and function names. Refuses to know what they do: directives.pyx and scanner.pyx do.

Nearly every word of real SQL is unknown here, so the look-up is made for a miss: a bit set says which lengths occur
for each first byte; a word that passes is looked up in an open-addressing table.
"""

from libc.string cimport memcmp

cdef dict WORDS = {
    K_ABORT: b"commit end rollback abort",
    K_ALL: b"all",
    K_ALTER: b"alter drop import",
    K_AUTHORIZATION: b"authorization",
    K_BEGIN: b"begin start",
    K_CALL: b"call",
    K_CHARACTERISTICS: b"characteristics",
    K_CLOSE: b"close",
    K_CONSTRAINTS: b"constraints",
    K_COPY: b"copy",
    K_CREATE: b"create",
    K_DDL: b"truncate comment grant revoke security reindex refresh reassign cluster",
    K_DEALLOCATE: b"deallocate",
    K_DECLARE: b"declare",
    K_DEFAULT: b"default",
    K_DISCARD: b"discard",
    K_DO: b"do",
    K_EXECUTE: b"execute",
    K_EXPLAIN: b"explain",
    K_EXTENSION: b"extension",
    K_FROM: b"from",
    K_FUNCTION: b"function procedure",
    K_HOLD: b"hold",
    K_INSERT: b"insert merge",
    K_INTO: b"into",
    K_LISTEN: b"listen",
    K_LOAD: b"load",
    K_LOCAL: b"local",
    K_NAMES: b"names",
    K_NOTIFY: b"notify",
    K_OPTION: b"option",
    K_PREPARE: b"prepare",
    K_REPLACE: b"replace global",
    K_RESET: b"reset",
    K_ROLE: b"role",
    K_SCHEMA: b"schema",
    K_SESSION: b"session",
    K_SET: b"set",
    K_TEMP: b"temp temporary",
    K_TIME: b"time",
    K_TO: b"to",
    K_TRANSACTION: b"transaction",
    K_UNLISTEN: b"unlisten",
    K_UPDATE: b"update",
    K_WITH: b"with",
    K_XML: b"xml",
    K_ZONE: b"zone",
    K_ABOUT_BACKENDS: b"pg_backend_pid pg_terminate_backend pg_cancel_backend",
    K_ADVISORY_LOCK: b"pg_advisory_lock pg_advisory_lock_shared pg_try_advisory_lock pg_try_advisory_lock_shared",
    K_ADVISORY_UNLOCK: b"pg_advisory_unlock pg_advisory_unlock_shared pg_advisory_unlock_all",
    K_PG_LISTENING_CHANNELS: b"pg_listening_channels",
    K_PG_NOTIFY: b"pg_notify",
    # UPDATE pg_settings is a SET in disguise: the view has a rule that calls set_config().
    K_PG_SETTINGS: b"pg_settings",
    K_PG_TEMP: b"pg_temp",
    K_READS_SEQUENCE: b"currval lastval",
    # Functions that run SQL given to them as a string.
    K_RUNS_TEXT: b"query_to_xml query_to_xmlschema query_to_xml_and_xmlschema ts_stat ts_rewrite",
    # pg_start_backup and pg_stop_backup: the names before PostgreSQL 15. A slot can be a temporary one.
    K_SESSION_FUNCTION: b"pg_backup_start pg_start_backup pg_create_logical_replication_slot"
                        b" pg_create_physical_replication_slot pg_copy_logical_replication_slot"
                        b" pg_copy_physical_replication_slot pg_replication_origin_session_setup"
                        b" dblink_connect dblink_connect_u",
    K_SET_CONFIG: b"set_config",
    K_SET_LIMIT: b"set_limit",
    K_SETSEED: b"setseed",
}

cdef enum:
    SLOTS = 512

cdef struct Entry:
    int keyword
    int n
    const unsigned char *word

cdef Entry TABLE[SLOTS]
cdef unsigned long long LENGTHS[256]   # per first byte: bit n is set when a word of n bytes (at most 63) starts with it
cdef list KEPT = []                    # the bytes objects that TABLE points into


cdef inline unsigned int slot_of(const unsigned char *word, int n) noexcept:
    return (word[0] + 7u * word[n >> 1] + 31u * word[n - 1] + 97u * <unsigned int>n) % SLOTS


cdef int build_table() except -1:
    cdef bytes word
    cdef const unsigned char *p
    cdef unsigned int slot
    for keyword, words in WORDS.items():
        for word in words.split():
            KEPT.append(word)
            p = word
            slot = slot_of(p, <int>len(word))
            while TABLE[slot].n:
                slot = (slot + 1) % SLOTS
            TABLE[slot].keyword = keyword
            TABLE[slot].n = <int>len(word)
            TABLE[slot].word = p
            LENGTHS[p[0]] |= 1ull << len(word)
    return 0


build_table()


cdef int find_keyword(const unsigned char *word, int n) noexcept:
    """The Keyword that the n bytes (1 to 63) spell exactly, or K_NONE."""
    cdef unsigned int slot
    if LENGTHS[word[0]] >> n & 1:
        slot = slot_of(word, n)
        while TABLE[slot].n:
            if TABLE[slot].n == n and memcmp(TABLE[slot].word, word, n) == 0:
                return TABLE[slot].keyword
            slot = (slot + 1) % SLOTS
    if n > 8 and word[0] == c'p' and memcmp(word, <const char *>b"pg_temp_", 8) == 0:
        return K_PG_TEMP
    return K_NONE
