"""The words that the scanner knows; the table is in keywords.pyx."""

cdef enum Keyword:
    # Grammar: keywords count only unquoted. One id may stand for several words that mean the same here.
    K_NONE
    K_ABORT             # COMMIT END ROLLBACK ABORT
    K_ALL
    K_ALTER             # ALTER DROP IMPORT
    K_AUTHORIZATION
    K_BEGIN             # BEGIN START
    K_CALL
    K_CHARACTERISTICS
    K_CLOSE
    K_CONSTRAINTS
    K_COPY
    K_CREATE
    K_DDL               # GRANT COMMENT TRUNCATE ...
    K_DEALLOCATE
    K_DECLARE
    K_DEFAULT
    K_DISCARD
    K_DO
    K_EXECUTE
    K_EXPLAIN
    K_EXTENSION
    K_FROM
    K_FUNCTION          # FUNCTION PROCEDURE
    K_HOLD
    K_INSERT            # INSERT MERGE
    K_INTO
    K_LISTEN
    K_LOAD
    K_LOCAL
    K_NAMES
    K_NOTIFY
    K_OPTION
    K_PREPARE
    K_REPLACE           # REPLACE GLOBAL: what may stand before TEMP, beside CREATE, LOCAL and INTO
    K_RESET
    K_ROLE
    K_SCHEMA
    K_SESSION
    K_SET
    K_TEMP              # TEMP TEMPORARY
    K_TIME
    K_TO
    K_TRANSACTION
    K_UNLISTEN
    K_UPDATE
    K_WITH
    K_XML
    K_ZONE
    # Names: count wherever they stand, quoted or not.
    K_FIRST_NAME
    K_ABOUT_BACKENDS
    K_ADVISORY_LOCK
    K_ADVISORY_UNLOCK
    K_PG_LISTENING_CHANNELS
    K_PG_NOTIFY
    K_PG_SETTINGS
    K_PG_TEMP           # pg_temp, pg_temp_N
    K_READS_SEQUENCE
    K_RUNS_TEXT
    K_SESSION_FUNCTION
    K_SET_CONFIG
    K_SET_LIMIT
    K_SETSEED
    K_COUNT


cdef int find_keyword(const unsigned char *word, int n) noexcept
