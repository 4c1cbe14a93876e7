"""Names by which a statement reaches what hides in the database, and a fast way to tell that a word is none of them.

Owns the set that the scanner asks for each identifier, and what a hit means. Refuses to know where a name comes from:
catalogue.py works it out.

Open addressing over 64-bit hashes. The words themselves are not kept: should two ever share a hash, a statement is
suspected that need not be. Identifiers that are not ASCII are one entry together, since a client may spell them in
another encoding than the catalogue, and PostgreSQL folds them by the database's locale.
"""

from libc.stdlib cimport calloc, free

cdef enum:
    SMALLEST = 64


cdef class Effect:
    def __init__(self, tuple touched=(), object pin=None, unsigned int flags=0):
        self.touched = touched
        self.pin = pin
        self.flags = flags

    def __eq__(self, other):
        return isinstance(other, Effect) and (
            self.touched, self.pin, self.flags) == (other.touched, other.pin, other.flags)

    def __hash__(self):
        return hash((self.touched, self.pin, self.flags))

    def __repr__(self):
        return f"Effect({self.touched}, {self.pin}, {self.flags:#x})"


cdef unsigned long long hash_name(const unsigned char *word, Py_ssize_t n) noexcept:
    """FNV-1a, 64 bits."""
    cdef unsigned long long h = 14695981039346656037ull
    cdef Py_ssize_t i
    for i in range(n):
        h = (h ^ word[i]) * 1099511628211ull
    return h


def name_hash(bytes name):
    return hash_name(name, len(name))


cdef class NameSet:
    def __cinit__(self, names, symbols=None, Effect always=None, Effect on_ddl=None, Effect foreign=None):
        cdef Py_ssize_t size = SMALLEST
        cdef bytes name
        while size < 2 * len(names):
            size *= 2
        self.slots = <NameSlot *>calloc(size, sizeof(NameSlot))
        if self.slots == NULL:
            raise MemoryError
        self.mask = size - 1
        self.effects = []
        self.symbols = tuple((symbols or {}).items())
        self.always = always
        self.on_ddl = on_ddl
        self.foreign = foreign
        for name, effect in names.items():
            self.effects.append(<Effect?>effect)
            self.add(hash_name(name, len(name)), <int>len(self.effects))
        self.count = len(self.effects)
        touched = set()
        for effect in [*self.effects, *(symbols or {}).values(), always, on_ddl, foreign]:
            if effect is not None:
                touched.update((<Effect>effect).touched)
                self.flags |= (<Effect>effect).flags
        self.settings = frozenset(touched)
        self.empty = not (self.count or self.symbols or always or on_ddl or foreign)

    def __dealloc__(self):
        free(self.slots)

    cdef int add(self, unsigned long long h, int index) except -1:
        cdef Py_ssize_t at = h & self.mask
        while self.slots[at].index:
            at = (at + 1) & self.mask
        self.slots[at].hash = h
        self.slots[at].index = index
        return 0

    cdef Effect find(self, const unsigned char *word, int n):
        """The effect of an identifier, folded as PostgreSQL does; None for nearly all."""
        cdef unsigned long long h
        cdef Py_ssize_t at
        cdef int i
        if self.foreign is not None:
            for i in range(n):
                if word[i] >= 0x80:
                    return self.foreign
        if self.count == 0:
            return None
        h = hash_name(word, n)
        at = h & self.mask
        while self.slots[at].index:
            if self.slots[at].hash == h:
                return <Effect>self.effects[self.slots[at].index - 1]
            at = (at + 1) & self.mask
        return None

    def get(self, bytes name):
        return self.find(name, <int>len(name))
