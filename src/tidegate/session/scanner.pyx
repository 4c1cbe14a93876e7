"""What session state a SQL text could change.

Owns the reading of statements: which settings they may touch, what pins the session, what they are.
Refuses to keep state between texts, to run or rewrite them, and to look into functions' bodies. It may report what
does not happen (a function only named, a statement that fails); it never misses what a statement itself says. What
hides in functions, views and triggers is known by name: names.pyx.

Algorithm: tokens come from tokens.pyx, one at a time, at the cost of a table look-up for each word. The first keyword
of a statement tells what it is. SET, RESET, DISCARD, DEALLOCATE, PREPARE and UNLISTEN are kept and read at their end
by directives.pyx; places.pyx seeks the name that an EXECUTE has. In all others only single words count, wherever they
stand (pg_advisory_lock, set_config, CREATE TEMP):
expressions are not parsed. Every `;` ends a statement, also within BEGIN ATOMIC ... END and parentheses, so the
number of statements may be too high, never too low. What is found goes to findings.pyx, which makes the `Facts`.
"""

from libc.string cimport memcmp, memcpy

from tidegate.session.directives cimport (
    D_DEALLOCATE_ALL, D_DISCARD_ALL, D_PREPARE, HEAD_TOKENS, HeadToken, read_directive,
)
from tidegate.session.facts cimport DDL, DROPS, DROPS_ALL, EXECUTES, MAKES_CODE, NAMES, NOTIFIES, PREPARES, Facts
from tidegate.session.findings cimport Findings, canonical_name
from tidegate.session.keywords cimport (
    K_ABORT, K_ALTER, K_BEGIN, K_COUNT, K_CREATE, K_DEALLOCATE, K_DECLARE, K_DISCARD, K_EXECUTE, K_EXPLAIN, K_EXTENSION,
    K_FIRST_NAME, K_FUNCTION, K_HOLD, K_INSERT, K_INTO, K_LOCAL, K_NONE, K_PG_LISTENING_CHANNELS, K_PG_NOTIFY,
    K_PG_SETTINGS, K_PG_TEMP, K_PREPARE, K_REPLACE, K_RESET, K_SET, K_SET_CONFIG, K_SET_LIMIT, K_TEMP, K_UNLISTEN,
    K_UPDATE, K_WITH, find_keyword,
)
from tidegate.session.lexis cimport (
    S_AMPERSAND, T_CHAR, T_END, T_MORE, T_OPAQUE, T_PARAM, T_QUOTED, T_SEMICOLON, T_STRING, T_UNICODE, T_WORD, TRAIL_ANY, TRAIL_NONE,
    TRAIL_SJIS,
)
from tidegate.session.names cimport Effect, NameSet
from tidegate.session.places cimport (
    SEEK_EXPLAINED, SEEK_NAME, SEEK_NOTHING, SEEK_TABLE, seek_name, spelled_length,
)
from tidegate.session.tokens cimport next_token, tokenizer_reset

from tidegate.session.pins import PinReason

cdef dict ENCODINGS_WITH_TRAIL_BYTES = {
    "BIG5": TRAIL_ANY, "GBK": TRAIL_ANY, "UHC": TRAIL_ANY, "GB18030": TRAIL_ANY, "JOHAB": TRAIL_ANY,
    "SJIS": TRAIL_SJIS, "SHIFT_JIS_2004": TRAIL_SJIS,
}

cdef enum CallState:                # how much of set_config('name', value, is_local) has been read
    C_NONE
    C_NAMED                         # set_config
    C_OPEN                          # set_config(
    C_BOUND                         # set_config($1
    C_SETTING                       # set_config('name'
    C_VALUE                         # set_config('search_path',


cdef enum Attention:
    A_NONE
    A_HEAD                          # its first tokens are kept
    A_SEEK                          # for the name of a prepared statement

cdef int ATTENTION[K_COUNT]         # by first keyword
for lead in (K_SET, K_RESET, K_DISCARD, K_DEALLOCATE, K_PREPARE, K_UNLISTEN):
    ATTENTION[<int>lead] = A_HEAD
cdef int SEEKING[K_COUNT]           # by first keyword: what comes next, for A_SEEK
for lead, state in ((K_EXECUTE, SEEK_NAME), (K_EXPLAIN, SEEK_EXPLAINED), (K_CREATE, SEEK_TABLE)):
    ATTENTION[<int>lead] = A_SEEK
    SEEKING[<int>lead] = state


cdef inline bint is_readable(const unsigned char *p, int n) noexcept:
    """Plain ASCII without a backslash: means the same under any encoding and standard_conforming_strings."""
    cdef int i
    for i in range(n):
        if p[i] >= 0x80 or p[i] == c'\\':
            return False
    return True


cdef class Scanner:
    """Reads one text, whole or in chunks. trail: see trail_bytes."""

    def __cinit__(self, bint standard_conforming_strings=True, int trail=TRAIL_NONE):
        self.found = Findings()
        self.reset(standard_conforming_strings, trail)

    cdef void reset(self, bint scs_on, int trail, NameSet names=None) noexcept:
        """Makes ready for the next text. names: what hides in the client's database, None for nothing."""
        self.names = names
        self.operators_len = 0
        tokenizer_reset(&self.tokenizer, scs_on, trail)
        self.found.reset()
        self.started = False
        self.base = 0

    def push(self, bytes chunk):
        self.feed(chunk, len(chunk))

    def facts(self):
        return self.finish()

    cdef int feed(self, const char *text, Py_ssize_t n) except -1:
        """Reads the next n bytes of the text; they need not stay where they are."""
        cdef int kind
        self.tokenizer.p = self.chunk = <const unsigned char *>text
        self.tokenizer.end = self.tokenizer.p + n
        while True:
            kind = next_token(&self.tokenizer)
            if kind == T_MORE or kind == T_END:
                self.base += n
                return 0
            self.token(kind)

    cdef Facts finish(self):
        """Ends the text. Only `reset` may follow."""
        cdef Py_ssize_t stop = self.base
        self.tokenizer.final = True
        self.feed(b"\n", 1)
        if self.started:
            self.end_statement(stop)
        if self.names is not None:
            self.hidden_everywhere()
        if self.tokenizer.tag_cut:
            self.found.pin(PinReason.OVERSIZED_STATEMENT)
        return self.found.result()

    cdef bint names_so_far(self) noexcept:
        """Whether what has been read names a prepared statement, or is the start of a PREPARE or DEALLOCATE."""
        return self.found.flags & NAMES != 0 or (self.started and self.lead in (K_PREPARE, K_DEALLOCATE))

    cdef int token(self, int kind) except -1:
        cdef int keyword = K_NONE
        if kind == T_WORD or kind == T_QUOTED:
            if self.tokenizer.word_len and not self.tokenizer.word_cut:
                keyword = find_keyword(self.tokenizer.word, self.tokenizer.word_len)
                if kind == T_QUOTED and keyword < K_FIRST_NAME:
                    keyword = K_NONE
        elif kind == T_SEMICOLON:
            return self.end_statement(self.offset() - 1) if self.started else 0
        if not self.started:
            self.start_statement(keyword)
        if self.attends:
            self.attend(kind, keyword)
        if self.call != C_NONE:
            self.set_config_token(kind)
        if keyword != K_NONE:
            self.keyword_seen(keyword)
        elif self.previous == K_PG_TEMP and kind == T_CHAR and self.tokenizer.ch == c'.':
            self.found.pin(PinReason.TEMP_OBJECT)
        elif kind == T_UNICODE:
            self.found.pin(PinReason.UNICODE_IDENTIFIER)
        self.before = self.previous
        self.previous = keyword
        return self.name_seen(kind) if self.names is not None else 0

    cdef int start_statement(self, int keyword) except -1:
        self.started = True
        self.lead = keyword
        self.previous = self.before = K_NONE
        self.call = C_NONE
        self.updates = self.odd_path = False
        self.attends = ATTENTION[keyword]
        self.seeker.state = SEEK_NOTHING        # the keyword itself is not sought in
        self.head.n = 0
        self.head.cut = False
        self.uses_code = self.found.flags & MAKES_CODE and keyword != K_ABORT and keyword != K_BEGIN
        return self.found.lead(keyword)

    cdef int end_statement(self, Py_ssize_t stop) except -1:
        """stop: the offset at which it ends."""
        self.started = False
        if self.uses_code:
            self.found.pin(PinReason.UNREAD_CODE)
        if self.call != C_NONE:
            self.set_config_token(T_SEMICOLON)
        if self.attends == A_HEAD:
            read_directive(&self.head, &self.directive)
            self.found.directive(&self.directive, self.odd_path)
            if self.directive.kind == D_DEALLOCATE_ALL or self.directive.kind == D_DISCARD_ALL:
                self.found.place(DROPS_ALL, None, -1, -1, -1)
            elif self.directive.place:
                self.place_in_head(&self.head.token[self.directive.place], stop)
        return 0

    cdef int place_in_head(self, const HeadToken *token, Py_ssize_t stop) except -1:
        """The token is the name in a PREPARE or DEALLOCATE that ends at `stop`."""
        cdef int kind = PREPARES if self.directive.kind == D_PREPARE else DROPS
        if token.exact and token.n:
            return self.found.place(
                kind, token.word[:token.n], token.end - spelled_length(token.kind, token.word, token.n), token.end,
                stop)
        if kind == PREPARES:
            self.found.pin(PinReason.SQL_PREPARE)
        return self.found.place(kind, None, -1, -1, -1)

    cdef Py_ssize_t offset(self) noexcept:
        """Of the byte behind the present token; of words, literals and all else that is told by what follows."""
        return self.base + (self.tokenizer.p - self.chunk)

    cdef int attend(self, int kind, int keyword) except -1:
        if self.attends == A_HEAD:
            self.keep_token(kind, keyword)
        elif self.seeker.state == SEEK_NOTHING:
            self.seeker.state = SEEKING[self.lead]      # the first token
            self.seeker.depth = 0
        else:
            if seek_name(&self.seeker, kind, keyword, &self.tokenizer):
                self.place_named(kind)
            if self.seeker.state == SEEK_NOTHING:
                self.attends = A_NONE
        return 0

    cdef int place_named(self, int kind) except -1:
        """The token is the name in an EXECUTE."""
        cdef const unsigned char *word = self.tokenizer.word
        cdef int n = self.tokenizer.word_len
        if n and is_readable(word, n):
            self.found.place(EXECUTES, word[:n], self.offset() - spelled_length(kind, word, n), self.offset(), -1)
        return 0

    cdef void keep_token(self, int kind, int keyword) noexcept:
        cdef HeadToken *token
        if self.hides_pg_temp(kind):
            self.odd_path = True
        if self.head.n == HEAD_TOKENS:
            self.head.cut = True
            return
        token = &self.head.token[self.head.n]
        self.head.n += 1
        token.kind = kind
        token.keyword = keyword
        token.ch = self.tokenizer.ch
        token.end = self.offset()
        token.n = 0
        token.exact = kind != T_UNICODE
        if kind == T_WORD or kind == T_QUOTED:
            token.n = self.tokenizer.word_len
            memcpy(token.word, self.tokenizer.word, token.n)
            token.exact = (not self.tokenizer.word_cut and self.tokenizer.state != S_AMPERSAND
                           and is_readable(token.word, token.n))
        elif kind == T_STRING:
            token.exact = not self.tokenizer.text_cut and is_readable(self.tokenizer.text, self.tokenizer.text_len)

    cdef int keyword_seen(self, int keyword) except -1:
        if keyword > K_FIRST_NAME:
            if keyword == K_SET_CONFIG:
                self.call = C_NAMED
            elif keyword == K_PG_TEMP:
                self.odd_path = True
            elif keyword == K_PG_SETTINGS:
                if self.updates:
                    self.found.pin(PinReason.UNREAD_CODE)
            elif keyword == K_PG_LISTENING_CHANNELS:
                self.found.unlisten(b"")
            elif keyword == K_PG_NOTIFY:
                self.found.flags |= NOTIFIES
            elif keyword == K_SET_LIMIT:
                self.found.touch("pg_trgm.similarity_threshold")    # a function of pg_trgm that sets it
            else:
                self.found.name(keyword)
        elif keyword == K_TEMP:
            if self.previous in (K_CREATE, K_REPLACE, K_LOCAL) or (
                self.previous == K_INTO and self.before != K_INSERT
            ):
                self.found.pin(PinReason.TEMP_OBJECT)
        elif keyword == K_FUNCTION:
            if self.previous == K_CREATE or self.previous == K_REPLACE:
                self.found.flags |= MAKES_CODE
                self.uses_code = False
        elif keyword == K_EXTENSION:
            if self.previous == K_CREATE or self.previous == K_ALTER:
                self.found.flags |= MAKES_CODE
        elif keyword == K_INTO:
            if self.previous != K_INSERT:
                self.found.flags |= DDL                             # SELECT INTO makes a table
        elif keyword == K_UPDATE:
            self.updates = True
        elif keyword == K_HOLD and self.lead == K_DECLARE and self.previous == K_WITH:
            self.found.pin(PinReason.HOLD_CURSOR)
        return 0

    cdef int name_seen(self, int kind) except -1:
        """Any token, where there are names to be looked for."""
        cdef Effect effect
        if kind == T_CHAR and self.names.symbols and is_operator(self.tokenizer.ch):
            if self.operators_len < OPERATOR_BYTES:
                self.operators[self.operators_len] = self.tokenizer.ch
                self.operators_len += 1
            return 0
        if self.operators_len:
            self.operators_seen()
        if (kind == T_WORD or kind == T_QUOTED) and self.tokenizer.word_len:
            effect = self.names.find(self.tokenizer.word, self.tokenizer.word_len)
            if effect is not None:
                self.found.hidden(effect)
        return 0

    cdef int operators_seen(self) except -1:
        """A run of operator characters has ended. It may be several operators: any within it counts."""
        cdef bytes run = self.operators[:self.operators_len]
        cdef bint cut = self.operators_len == OPERATOR_BYTES
        self.operators_len = 0
        for symbol, effect in self.names.symbols:
            if cut or symbol in run:
                self.found.hidden(<Effect>effect)
        return 0

    cdef int hidden_everywhere(self) except -1:
        """At the text's end: what any statement reaches, and what any change of the catalogue does (event triggers)."""
        if self.operators_len:
            self.operators_seen()
        if self.names.always is not None and self.found.statements:
            self.found.hidden(self.names.always)
        if self.names.on_ddl is not None and self.found.flags & DDL:
            self.found.hidden(self.names.on_ddl)
        return 0

    cdef int set_config_token(self, int kind) except -1:
        """The token after set_config, or after what of its call has been read."""
        cdef int state = self.call
        cdef bint comma = kind == T_CHAR and self.tokenizer.ch == c','
        self.call = C_NONE
        if state == C_NAMED:
            if kind == T_CHAR and self.tokenizer.ch == c'(':
                self.call = C_OPEN
        elif state == C_OPEN and kind == T_STRING and not self.tokenizer.text_cut and is_readable(
            self.tokenizer.text, self.tokenizer.text_len
        ):
            self.call_name = canonical_name(self.tokenizer.text[:self.tokenizer.text_len])
            self.call = C_SETTING
        elif state == C_OPEN and kind == T_PARAM:
            self.call = C_BOUND
            self.call_param = self.tokenizer.param
        elif state == C_BOUND and comma:
            self.found.bind(self.call_param)
        elif (state == C_BOUND or state == C_SETTING) and self.is_cast(kind):
            self.call = state
        elif state == C_SETTING and comma:
            self.found.touch(self.call_name)
            if self.call_name == "search_path":
                self.call = C_VALUE
        elif state == C_VALUE:
            if self.hides_pg_temp(kind):
                self.found.pin(PinReason.TEMP_OBJECT)
        else:
            self.found.touch_unknown()
        return 0

    cdef bint is_cast(self, int kind) noexcept:
        """A part of `::text` or `::varchar`, which change nothing (char would cut)."""
        cdef int n = self.tokenizer.word_len
        if kind == T_WORD:
            return ((n == 4 and memcmp(self.tokenizer.word, b"text", 4) == 0)
                    or (n == 7 and memcmp(self.tokenizer.word, b"varchar", 7) == 0))
        return kind == T_CHAR and self.tokenizer.ch == c':'

    cdef bint hides_pg_temp(self, int kind) noexcept:
        """Whether the literal, as search_path, may make pg_temp the schema that CREATE writes to."""
        cdef int i
        cdef int j
        if kind != T_STRING:
            return kind == T_OPAQUE
        for i in range(self.tokenizer.text_len - 6):
            for j in range(7):
                if self.tokenizer.text[i + j] | 0x20 != (<const unsigned char *>b"pg_temp")[j] | 0x20:
                    break
            else:
                return True
        return self.tokenizer.text_cut


cdef Scanner THE_SCANNER = Scanner()


cdef Facts scan(const char *text, Py_ssize_t n, bint scs_on, int trail=TRAIL_NONE, NameSet names=None):
    """Reads a whole text. scs_on: the client's standard_conforming_strings; trail: see trail_bytes; names: see reset."""
    cdef Scanner scanner = THE_SCANNER
    if scanner.busy:                # entered again, by a finalizer that ran in the middle
        scanner = Scanner()
    scanner.busy = True
    try:
        scanner.reset(scs_on, trail, names)
        scanner.feed(text, n)
        return scanner.finish()
    finally:
        scanner.busy = False


def trail_bytes(str client_encoding):
    return ENCODINGS_WITH_TRAIL_BYTES.get(client_encoding, TRAIL_NONE)


def scan_text(bytes text, bint standard_conforming_strings=True, int trail=TRAIL_NONE, NameSet names=None):
    return scan(text, len(text), standard_conforming_strings, trail, names)
