"""Bytes that were read and can't be dealt with yet.

Owns: where the next read goes, and what is kept of it. Refuses: to know messages.

A reader reads into the loop's shared buffer and deals with the bytes in place. Only what must wait (the beginning of a
message whose end has not come) is copied into a buffer of its own; the next read goes behind it. That buffer is freed
when it runs empty, so that an idle connection has none.
"""

from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memmove

from tidegate.engine.stream cimport Stream

cdef enum:
    READ_CHUNK = 65536  # bytes


cdef Py_ssize_t read_behind(Held* held, Stream stream, char** data, Py_ssize_t* size) except? -3:
    """Read once. What Stream.read says; `data` and `size` are all that can be dealt with now."""
    cdef Py_ssize_t got
    if held.size:
        make_room(held, READ_CHUNK)
        data[0] = held.data
        got = stream.read(held.data + held.size, READ_CHUNK)
    else:
        data[0] = stream.loop.shared
        got = stream.read(stream.loop.shared, stream.loop.shared_size)
    size[0] = held.size + max(got, 0)
    return got


cdef int keep_rest(Held* held, char* data, Py_ssize_t size, Py_ssize_t used) except -1:
    """Of these bytes (which may be those held), the first `used` are dealt with: hold the others."""
    if data == held.data:
        if used and used < size:
            memmove(data, data + used, size - used)
    elif used < size:
        held.size = 0
        make_room(held, size - used)
        memcpy(held.data, data + used, size - used)
    held.size = max(size - used, 0)
    return 0


cdef int make_room(Held* held, Py_ssize_t more) except -1:
    cdef char* larger
    if held.size + more > held.capacity:
        larger = <char*>realloc(held.data, held.size + more)
        if larger == NULL:
            raise MemoryError
        held.data = larger
        held.capacity = held.size + more
    return 0


cdef void let_go(Held* held) noexcept:
    """Free the buffer if nothing is held."""
    if not held.size and held.data != NULL:
        free(held.data)
        held.data = NULL
        held.capacity = 0
