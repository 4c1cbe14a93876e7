"""A client's prepared statements by SQL: PREPARE, EXECUTE, DEALLOCATE, in simple queries and in the extended protocol.

Owns what the names in such texts mean. Refuses to find them (`session.scanner`), to rewrite texts and to read the
server's answers (`naming`); protocol-level statements, whose name space it shares, are `prepared`'s.

As with a Parse, a PREPARE makes a statement that is identified by its content: the text behind the name. At a server it
has a name of its own, which stands in the texts that go there in place of the client's; a server that lacks it gets the
PREPARE ahead of the text, in the same write: PREPARE of the same words under the same settings, so that EXECUTE, Bind
and Describe find it there however it was made. That is a batch of its own ahead of a Query (of the client's open
transaction, if there is one), and part of the client's batch otherwise. PostgreSQL's PREPARE takes a snapshot, but only
what follows it at once and takes one as well is ever sent behind it; and like DEALLOCATE it is not undone by a
rollback, so that the names hold from the server's answer on.

Whatever is not to be known beforehand is the server's to say: the name of a PREPARE that exists already is given to it
as one that exists, an unknown name as it is. What it says of names and positions is told in the client's.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE

from tidegate.proxy.description cimport PLAN_CHANGED
from tidegate.proxy.naming cimport TAKES, Preparing, Renamed, characters, taken
from tidegate.proxy.outcome cimport DONE, STOP
from tidegate.proxy.prepared cimport Prepared
from tidegate.proxy.server cimport Injection, Server
from tidegate.proxy.subscription cimport ABOUT_CHANNELS, mark_behind, prepare_channels
from tidegate.session.facts cimport (
    DISCARD_ALL, DROPS, DROPS_ALL, EXECUTES, PINS, PREPARES, READS_SEQUENCES, RESHAPES, SINGLE, Facts, Place,
)
from tidegate.session.statements cimport Meaning, Naming, Statement
from tidegate.wire.postgres.messages cimport HEADER, command_complete, message as build, query, ready_for_query
from tidegate.wire.postgres.replies cimport CAPTURE, EXECUTE, FORWARD, PARSE, QUERY, TOLD, ReplyQueue
from tidegate.wire.postgres import messages

cdef bytes PARSE_COMPLETE = messages.PARSE_COMPLETE
cdef bytes DEALLOCATED = command_complete(b"DEALLOCATE")

# Around a PREPARE that may fail within the client's block, where the statements of its text ahead of the EXECUTE would
# succeed. What was prepared outlives the rollback. Without a block neither does anything but fail.
cdef bytes SAVEPOINT = b"SAVEPOINT tidegate"
cdef bytes UNDO = b"ROLLBACK TO SAVEPOINT tidegate;RELEASE SAVEPOINT tidegate"


cdef class SqlPrepared(Prepared):
    # --- simple queries -------------------------------------------------------------------------------------------

    cdef int run_named(self, Facts facts, const char* message, Py_ssize_t whole) except -1:
        cdef Server server = self.server
        cdef Renamed note
        cdef Statement statement
        cdef list needed = [], made = []
        cdef bint single = facts.flags & SINGLE != 0, counts
        cdef Place first = facts.places[0]
        if self.wait_for_names(facts.places):
            return STOP
        if single and first.kind == DROPS and self.drop_here(first.name):
            return DONE
        note = Renamed()
        note.client = <object>self
        note.text = PyBytes_FromStringAndSize(message + HEADER, whole - HEADER - 1)
        note.single = single
        if self.resolve(facts, note, needed, made) == STOP:
            return STOP
        self.unnamed = None
        self.parsed_unnamed = False
        self.context.counters.queries += 1
        self.bring(note, needed, made)
        server.unnamed = None
        if facts.flags & (ABOUT_CHANNELS | DISCARD_ALL):
            prepare_channels(self, facts)
        for statement in note.executed:
            self.take_effect(statement)
        # What a PREPARE holds counts when it is executed.
        counts = not single or first.kind != PREPARES
        if counts and (self.wary or self.catalogue.changing or facts.flags & (PINS | RESHAPES | READS_SEQUENCES)):
            self.foresee(facts, PyBytes_AS_STRING(note.text), PyBytes_GET_SIZE(note.text))
        server.send_bytes(query(note.renamed()))
        server.queue.push(QUERY, TOLD if note.steps else FORWARD, note)
        if counts:
            if facts.pin is not None:
                self.may_leave(facts.pin, note.text)
            self.touch(facts)
        return mark_behind(self, facts)

    cdef bint renaming_under_way(self) except -1:
        cdef ReplyQueue queue
        cdef unsigned int i
        if self.server is None:
            return False
        queue = self.server.queue
        for i in range(queue.count):
            if queue.at(i).kind == QUERY and queue.at(i).action != CAPTURE and queue.at(i).note != NULL:
                self.unsure = True
                return True
        return False

    cdef bint wait_for_names(self, tuple places) except -1:
        """Whether it is still open what the names mean: the answer to what may have changed them is on its way.

        Or what is set, on which the meaning of what is prepared depends.
        """
        cdef Place place
        if self.probes:
            self.unsure = True
            return True
        if self.renaming_under_way():
            return True
        for place in places:
            if place.name is not None and self.is_unsure(place.name):
                return True
        return False

    cdef bint drop_here(self, bytes name) except -1:
        """DEALLOCATE of one name, where the server has nothing to say: its copy serves others."""
        cdef Server server = self.server
        if self.named(name) is None or server.queue.count or server.queue.open_batch or server.status == b'E':
            return False
        del self.statements[name]
        self.unnamed = None
        self.context.counters.queries += 1
        self.send_bytes(DEALLOCATED)
        self.send_bytes(ready_for_query(server.status))
        return True

    cdef int resolve(self, Facts facts, Renamed note, list needed, list made) except -1:
        """What each name in a text means. STOP: the server is being asked.

        `needed` becomes the list of the statements that the server must have, `made` of those that the text makes
        there. Names mean what the text has made of them before.
        """
        cdef bint single = facts.flags & SINGLE != 0
        cdef dict names = self.statements if self.statements is not None else {}
        cdef Statement statement
        cdef Place place
        if not single:
            names = dict(names)  # what the text makes of them counts when the server has answered
        for place in facts.places:
            if place.kind == DROPS_ALL:
                names = {}
            statement = None if place.name is None else names.get(place.name)
            if place.kind == EXECUTES:
                if statement is None:
                    continue
                if single and (statement.generation != self.context.statements.generation or self.checking is not None):
                    statement = self.current(place.name, statement)
                    if statement is None:
                        return STOP
                    note.failure = self.failure
                    if statement.stale and statement not in self.server.prepared:
                        note.failure = PLAN_CHANGED
                note.executed.append(statement)
            elif place.kind == PREPARES and place.name is not None:
                exists = statement is not None
                statement = self.made_by(note.text, place, self.context_of_parse() if single else object())
                note.steps.append((TAKES if exists else PREPARES, place.name, statement))
                if not exists:
                    made.append(statement)
                    if not single:
                        names[place.name] = statement
                    note.swap(place, statement)
                    continue
                statement = taken(self.server, 0)
            else:
                if place.kind == DROPS and statement is not None:
                    if not single:
                        del names[place.name]
                    if statement not in made:
                        statement = taken(self.server, len(note.steps) + 1)
                note.steps.append((place.kind, place.name, statement))
            if statement is not None:
                note.swap(place, statement)
                if statement not in made and statement not in needed and note.failure is None:
                    needed.append(statement)
        return DONE

    cdef Statement made_by(self, bytes text, Place place, object context):
        """The statement that a PREPARE makes."""
        return self.context.statements.find_sql(
            text[place.end:place.stop], characters(text[:place.end]), context, self.scs_on, self.trail)

    cdef int bring(self, Renamed note, list needed, list made) except -1:
        """See to it that the server has what a text needs, and not what it makes."""
        cdef Server server = self.server
        cdef Statement statement
        cdef Preparing preparing
        cdef int usual = server.max_prepared
        if server.status == b'E' and server.queue.count == 0:
            needed = []  # the server will refuse the text, whatever it says
        server.max_prepared = max(usual, len(needed) + len(made))
        for statement in needed:
            if server.queue.open_batch:
                server.ensure(statement, self.settled_context())
                continue
            preparing = Preparing()
            preparing.statement = statement
            preparing.follower = note
            guarded = not note.single and statement not in server.prepared and (
                server.status == b'T' or server.queue.owes_replies())
            if guarded:
                server.inject(SAVEPOINT, Injection())
            server.ensure_apart(statement, self.settled_context(), preparing)
            if guarded:
                server.inject(UNDO, Injection())
        for statement in made:
            if statement in server.prepared:
                server.close_prepared(statement)
            server.note_prepared(statement)
        server.max_prepared = usual
        if note.steps:
            if self.unsettled is None:
                self.unsettled = {}
            for kind, name, _ in note.steps:
                if kind == DROPS_ALL:
                    self.unsettled.update(self.statements or {})
                elif name is not None:
                    self.unsettled[name] = None
        return 0

    # --- the extended protocol ------------------------------------------------------------------------------------

    cdef int parse_meant(self, bytes name, Statement statement) except -1:
        """The server is asked whether it is well-formed; what it means is settled whenever it is used."""
        self.server.send_bytes(build(b'P', b"\0" + statement.content))
        self.server.doubt_unnamed()
        return self.push_naming(PARSE, Naming(name, statement, False, PARSE_COMPLETE))

    cdef Meaning meant(self, Statement statement):
        cdef Place place = statement.facts.places[0]
        cdef Meaning meaning = Meaning.__new__(Meaning)
        cdef Renamed swapped
        cdef Py_ssize_t size = statement.content.index(b"\0")
        cdef bytes text = statement.content[:size]
        meaning.place = place
        meaning.statement = meaning.derived = statement
        if place.kind == DROPS or not statement.facts.flags & SINGLE:
            return meaning
        if self.renaming_under_way() or self.is_unsure(place.name):
            return None
        if place.kind == PREPARES:
            meaning.target = self.made_by(text, place, self.context_of_parse())
        else:
            meaning.target = self.named(place.name)
            if meaning.target is None:
                return meaning
            if meaning.target.generation != self.context.statements.generation or self.checking is not None:
                meaning.target = self.current(place.name, meaning.target)
                if meaning.target is None:
                    return None
            self.server.ensure(meaning.target, self.settled_context())
        swapped = self.swapped(meaning, text)
        text = swapped.renamed()
        meaning.derived = self.context.statements.find(
            text + statement.content[size:], len(text), statement.context, self.scs_on, self.trail)
        return meaning

    cdef Renamed swapped(self, Meaning meaning, bytes text):
        cdef Renamed note = Renamed()
        note.client = <object>self
        note.text = text
        note.swap(meaning.place, meaning.target)
        return note

    cdef int execute_meant(self, Meaning meaning, const char* message, Py_ssize_t whole) except -1:
        cdef Server server = self.server
        cdef bytes name = meaning.place.name
        cdef Statement target = meaning.target
        cdef Statement statement = meaning.statement
        cdef Renamed note = self.swapped(meaning, statement.content[:statement.content.index(b"\0")])
        cdef bint makes = False
        if meaning.place.kind == EXECUTES:
            note.executed.append(target)
            self.take_effect(target)
        elif self.named(name) is not None:
            server.ensure(target, self.settled_context())
        else:
            makes = True
            if target in server.prepared:
                server.close_prepared(target)
            server.note_prepared(target)
            self.enter_name(name, target)
        self.executed = True
        server.send(message, whole)
        if makes:
            return self.push_naming(EXECUTE, Naming(name, target, False, None, None, False, note))
        return server.queue.push(EXECUTE, FORWARD, note)
