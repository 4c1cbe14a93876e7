"""The first tokens of a statement as Python objects, for what is read so seldom that a list costs nothing.

Owns the step from the lexical scanner's state to values. Refuses to know any statement: `databases` and `backends` do.
"""

from tidegate.session.lexis cimport (
    T_CHAR, T_END, T_MORE, T_NUMBER, T_PARAM, T_QUOTED, T_SEMICOLON, T_STRING, T_WORD, Tokenizer,
)
from tidegate.session.tokens cimport next_token, tokenizer_reset

# What a token is called: an unquoted word may be a keyword, which an identifier in quotes never is.
WORD = "word"
NAME = "name"
STRING = "string"
NUMBER = "number"
PARAMETER = "parameter"
SIGN = "sign"
SEMICOLON = "semicolon"
OTHER = "other"

cdef dict KINDS = {
    T_WORD: WORD, T_QUOTED: NAME, T_STRING: STRING, T_NUMBER: NUMBER, T_PARAM: PARAMETER, T_CHAR: SIGN,
    T_SEMICOLON: SEMICOLON,
}


cdef bytes digits_before(const unsigned char *text, Py_ssize_t end):
    """The number that ends there, without the $ of a parameter."""
    cdef Py_ssize_t start = end
    while start > 0 and (c'0' <= text[start - 1] <= c'9' or text[start - 1] == c'.' or text[start - 1] == c'_'):
        start -= 1
    return text[start:end]


cdef tuple token(int kind, Tokenizer *t, const unsigned char *text, Py_ssize_t end):
    if kind == T_WORD or kind == T_QUOTED:
        return KINDS[kind], t.word[:t.word_len]
    if kind == T_STRING and not t.text_cut:
        return STRING, t.text[:t.text_len]
    if kind == T_NUMBER or kind == T_PARAM:
        return KINDS[kind], digits_before(text, end)
    if kind == T_CHAR:
        return SIGN, bytes((t.ch,))
    return KINDS[kind] if kind == T_SEMICOLON else OTHER, b""


def tokenize(bytes text not None, int most, bint standard_conforming_strings=True, int trail=0):
    """See tokenized.pyi."""
    cdef Tokenizer t
    cdef bytes ended = text + b"\n"
    cdef const unsigned char *begin = ended
    cdef list found = []
    cdef int kind
    tokenizer_reset(&t, standard_conforming_strings, trail)
    t.p = begin
    t.end = begin + len(ended)
    t.final = True
    while True:
        kind = next_token(&t)
        if kind == T_MORE or kind == T_END:
            return found
        if len(found) == most:
            return None
        found.append(token(kind, &t, begin, t.p - begin))
