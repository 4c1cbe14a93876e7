"""What SET, RESET, DISCARD, DEALLOCATE, PREPARE and UNLISTEN say; the grammar is in directives.pyx."""

from tidegate.session.lexis cimport WORD_BYTES

cdef enum:
    HEAD_TOKENS = 32
    NAME_BYTES = 255


cdef struct HeadToken:
    int kind                       # TokenKind
    int keyword                    # Keyword of an unquoted word
    bint exact                     # what is kept is all of it, and plain ASCII without a backslash
    unsigned char ch
    Py_ssize_t end                 # offset in the text of the byte behind it
    int n
    unsigned char word[WORD_BYTES]


cdef struct Head:
    int n
    bint cut                       # the statement has more tokens
    HeadToken token[HEAD_TOKENS]


cdef enum DirectiveKind:
    D_NOTHING                      # no session state changes, or the server will refuse it
    D_SETTING                      # SET, RESET of the setting `name`
    D_AUTHORIZATION                # SET, RESET SESSION AUTHORIZATION
    D_CHARACTERISTICS              # SET SESSION CHARACTERISTICS AS TRANSACTION
    D_UNKNOWN_SETTING              # a setting, but its name can't be told
    D_RESET_ALL
    D_DISCARD_ALL
    D_DISCARD_OTHER
    D_DEALLOCATE                   # DEALLOCATE `name`
    D_DEALLOCATE_ALL
    D_PREPARE                      # PREPARE of a statement
    D_PREPARE_TRANSACTION
    D_UNLISTEN                     # UNLISTEN `name`, which is empty if it can't be told
    D_UNLISTEN_ALL


cdef struct Directive:
    int kind
    bint local                     # SET LOCAL
    bint to_default                # RESET x, SET x TO DEFAULT
    bint constant                  # SET x TO constants: the text alone tells the value
    int place                      # index of the token that names a prepared statement, or 0
    int n
    unsigned char name[NAME_BYTES]


cdef void read_directive(const Head *head, Directive *d) noexcept
