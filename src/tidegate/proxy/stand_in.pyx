"""What is sent in place of a client's statement that names a backend by its process id.

Owns the way of such a statement through Query, Parse and Bind. Refuses to know what it becomes (`identity`).
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

from tidegate.proxy.outcome cimport STOP
from tidegate.proxy.prepared cimport Prepared
from tidegate.proxy.simple cimport Simple
from tidegate.session.facts cimport Facts
from tidegate.session.statements cimport Statement
from tidegate.wire.postgres.messages cimport error_response, query
from tidegate.wire.postgres.replies cimport FORWARD, SYNC
from tidegate.errors import PgError
from tidegate.proxy.identity import own_id, sent_instead
from tidegate.wire.postgres import messages

cdef bytes SYNC_MESSAGE = messages.SYNC


cdef int run_instead(Simple client, Facts facts, bytes text) except -1:
    """Query."""
    cdef bytes built
    if client.server.queue.count:
        client.unsure = True  # it counts from behind what was sent before
        return STOP
    instead = sent_instead(client, text, None)
    if instead is None:
        client.unsure = True
        return STOP
    if isinstance(instead, PgError):
        client.force_failure(error_response(instead))
        client.server.send_bytes(SYNC_MESSAGE)
        return client.server.queue.push(SYNC, FORWARD, None)
    built = query(instead)
    return client.run_query(facts, PyBytes_AS_STRING(built), PyBytes_GET_SIZE(built), PyBytes_GET_SIZE(built))


cdef Statement told_apart(Prepared client, Statement statement):
    """Parse."""
    return like(client, statement, own_id(client, text_of(statement)))


cdef Statement bound_instead(Prepared client, Statement statement, const char* values, Py_ssize_t size):
    """Bind; `values`: its body behind the statement's name. None: wait if the client is `unsure`, else it has failed."""
    if client.server.queue.count and not client.server.queue.open_batch:
        client.unsure = True
        return None
    instead = sent_instead(client, text_of(statement), PyBytes_FromStringAndSize(values, max(size, 0)))
    if instead is None:
        client.unsure = True
        return None
    if isinstance(instead, PgError):
        client.force_failure(error_response(instead))
        return None
    return like(client, statement, instead)


cdef inline bytes text_of(Statement statement):
    return statement.content.partition(b"\0")[0]


cdef Statement like(Prepared client, Statement statement, bytes text):
    """The statement with another text, which takes the same parameters."""
    cdef bytes own = text_of(statement)
    if text == own:
        return statement
    return client.context.statements.find(
        text + statement.content[len(own):], len(text), statement.context, client.scs_on, client.trail)
