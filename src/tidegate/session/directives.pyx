"""The statements whose whole purpose is session state: SET, RESET, DISCARD, DEALLOCATE, PREPARE, UNLISTEN.

Owns their grammar (gram.y: VariableSetStmt, VariableResetStmt, DiscardStmt, DeallocateStmt, PrepareStmt, UnlistenStmt).
Refuses everything inside expressions, and what the found state means for the session: both are scanner.pyx.

Algorithm: the first tokens of such a statement are kept (`Head`) and read when it ends, left to right. Nearly all
words of this grammar may also be names of settings (`SET local.x = 1` sets "local.x"), so a word is taken as a keyword
only after a look at the token behind it. A statement that is longer than the head counts as not understood.
"""

from libc.string cimport memcpy

from tidegate.session.keywords cimport (
    K_ALL, K_AUTHORIZATION, K_CHARACTERISTICS, K_CONSTRAINTS, K_DEALLOCATE, K_DEFAULT, K_DISCARD, K_FROM, K_LOCAL,
    K_NAMES, K_NONE, K_OPTION, K_PREPARE, K_RESET, K_ROLE, K_SCHEMA, K_SESSION, K_SET, K_TIME, K_TO, K_TRANSACTION,
    K_UNLISTEN, K_XML, K_ZONE,
)
from tidegate.session.lexis cimport T_CHAR, T_NUMBER, T_OPAQUE, T_QUOTED, T_STRING, T_UNICODE, T_WORD

# Forms of SET and RESET that have their own words: first keyword, second or none, what they change.
cdef struct Special:
    int first
    int second
    int kind
    const char *name

cdef Special[9] SPECIALS = [
    Special(K_TIME, K_ZONE, D_SETTING, b"timezone"),
    Special(K_NAMES, K_NONE, D_SETTING, b"client_encoding"),
    Special(K_ROLE, K_NONE, D_SETTING, b"role"),
    Special(K_SCHEMA, K_NONE, D_SETTING, b"search_path"),
    Special(K_XML, K_OPTION, D_SETTING, b"xmloption"),
    Special(K_SESSION, K_AUTHORIZATION, D_AUTHORIZATION, b"session_authorization"),
    Special(K_SESSION, K_CHARACTERISTICS, D_CHARACTERISTICS, b""),
    Special(K_TRANSACTION, K_NONE, D_NOTHING, b""),
    Special(K_CONSTRAINTS, K_NONE, D_NOTHING, b""),
]


cdef inline int keyword_at(const Head *h, int i) noexcept:
    return h.token[i].keyword if i < h.n else K_NONE


cdef inline bint is_char(const Head *h, int i, unsigned char ch) noexcept:
    return i < h.n and h.token[i].kind == T_CHAR and h.token[i].ch == ch


cdef inline bint is_name(const Head *h, int i) noexcept:
    return i < h.n and h.token[i].kind in (T_WORD, T_QUOTED, T_UNICODE)


cdef bint names_setting(const Head *h, int i) noexcept:
    """Whether the word at i is a setting's name, or its first part, by what follows it."""
    return is_char(h, i + 1, c'.') or is_char(h, i + 1, c'=') or keyword_at(h, i + 1) in (K_TO, K_FROM)


cdef bint append(Directive *d, const unsigned char *source, int n) noexcept:
    if n > NAME_BYTES - d.n:
        return False
    memcpy(&d.name[d.n], source, n)
    d.n += n
    return True


cdef int read_name(const Head *h, int i, Directive *d) noexcept:
    """Reads a dotted name at i into d.name; the index behind it, or -1 if it can't be told."""
    while is_name(h, i) and h.token[i].exact and append(d, h.token[i].word, h.token[i].n):
        i += 1
        if not is_char(h, i, c'.'):
            return -1 if i == h.n and h.cut else i
        append(d, <const unsigned char *>b".", 1)
        i += 1
    return -1


cdef void read_value(const Head *h, int i, Directive *d) noexcept:
    """Reads the value at i: DEFAULT, or constants with commas between them."""
    if h.n == i + 1 and keyword_at(h, i) == K_DEFAULT:
        d.to_default = True
        return
    while i < h.n:
        if is_char(h, i, c'-') or is_char(h, i, c'+'):
            i += 1
            if i == h.n or h.token[i].kind != T_NUMBER:
                return
        if h.token[i].kind not in (T_WORD, T_QUOTED, T_STRING, T_NUMBER) or not h.token[i].exact:
            return
        if h.token[i].keyword == K_DEFAULT:
            return
        i += 1
        if i == h.n:
            d.constant = not h.cut
        elif not is_char(h, i, c','):
            return
        i += 1


cdef const Special *find_special(const Head *h, int i) noexcept:
    cdef int k
    for k in range(9):
        if SPECIALS[k].first == keyword_at(h, i):
            if SPECIALS[k].second == K_NONE:
                return NULL if names_setting(h, i) else &SPECIALS[k]
            if SPECIALS[k].second == keyword_at(h, i + 1):
                return &SPECIALS[k]
    return NULL


cdef void read_special(const Head *h, int i, const Special *special, Directive *d) noexcept:
    cdef const char *name = special.name
    while name[0]:
        append(d, <const unsigned char *>name, 1)
        name += 1
    d.kind = special.kind
    i += 1 if special.second == K_NONE else 2
    if special.kind == D_CHARACTERISTICS:
        return
    if i == h.n or (special.first == K_TIME and keyword_at(h, i) == K_LOCAL):
        d.to_default = True                # SET NAMES; SET TIME ZONE LOCAL; RESET TIME ZONE
    elif special.first != K_XML:
        read_value(h, i, d)


cdef void read_setting(const Head *h, int i, Directive *d) noexcept:
    d.kind = D_SETTING
    i = read_name(h, i, d)
    if i < 0:
        d.kind = D_UNKNOWN_SETTING
    elif is_char(h, i, c'=') or keyword_at(h, i) == K_TO:
        read_value(h, i + 1, d)


cdef void read_set(const Head *h, Directive *d) noexcept:
    """SET [LOCAL | SESSION] ..., where SESSION may belong to what follows instead, or be a name."""
    cdef int i = 1
    cdef const Special *special
    if keyword_at(h, 1) in (K_LOCAL, K_SESSION) and not names_setting(h, 1):
        d.local = keyword_at(h, 1) == K_LOCAL
        special = find_special(h, 1)
        if special == NULL or names_setting(h, 2):
            i = 2
    special = find_special(h, i)
    if special != NULL and not (special.kind == D_CHARACTERISTICS and names_setting(h, i + 1)):
        read_special(h, i, special, d)
    elif is_name(h, i):
        read_setting(h, i, d)


cdef void read_reset(const Head *h, Directive *d) noexcept:
    cdef const Special *special = find_special(h, 1)
    if keyword_at(h, 1) == K_ALL:
        d.kind = D_RESET_ALL
    elif special != NULL and special.second != K_NONE:
        read_special(h, 1, special, d)
    elif keyword_at(h, 1) == K_TRANSACTION and h.n > 2 and not is_char(h, 2, c'.'):
        d.kind = D_NOTHING                 # RESET TRANSACTION ISOLATION LEVEL
    elif is_name(h, 1):
        read_setting(h, 1, d)
    d.to_default = True


cdef void read_deallocate(const Head *h, Directive *d) noexcept:
    cdef int i = 2 if keyword_at(h, 1) == K_PREPARE and h.n > 2 else 1
    if keyword_at(h, i) == K_ALL:
        d.kind = D_DEALLOCATE_ALL
    elif is_name(h, i):
        d.kind = D_DEALLOCATE
        d.place = i
        append(d, h.token[i].word, h.token[i].n)


cdef void read_unlisten(const Head *h, Directive *d) noexcept:
    if is_char(h, 1, c'*'):
        d.kind = D_UNLISTEN_ALL
        return
    d.kind = D_UNLISTEN
    if is_name(h, 1) and h.token[1].exact:
        append(d, h.token[1].word, h.token[1].n)


cdef void read_directive(const Head *h, Directive *d) noexcept:
    """Reads a statement that starts with SET, RESET, DISCARD, DEALLOCATE, PREPARE or UNLISTEN."""
    cdef int first = h.token[0].keyword
    d.kind = D_NOTHING
    d.local = d.to_default = d.constant = False
    d.n = d.place = 0
    if first == K_SET:
        read_set(h, d)
    elif first == K_RESET:
        read_reset(h, d)
    elif first == K_DISCARD:
        d.kind = D_DISCARD_ALL if keyword_at(h, 1) == K_ALL else D_DISCARD_OTHER
    elif first == K_DEALLOCATE:
        read_deallocate(h, d)
    elif first == K_UNLISTEN:
        read_unlisten(h, d)
    elif first == K_PREPARE:
        d.kind = D_PREPARE
        if keyword_at(h, 1) == K_TRANSACTION and h.n > 2 and h.token[2].kind in (T_STRING, T_OPAQUE):
            d.kind = D_PREPARE_TRANSACTION
        elif is_name(h, 1):
            d.place = 1
