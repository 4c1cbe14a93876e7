"""The supervisor's view of the budget: first limits, and repair after a worker's crash.

Owns what is done to the slots of the dead. The slots themselves are in `slot_table`, how the living share them in
`shared_budget`. Refuses to find out whether a backend is gone (`proxy.recovery` has it asked).
"""

from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint32_t, uint64_t

from tidegate.pool.slot_table cimport (
    HELD, ORPHAN, SUPERVISOR, Table, WorkerRow, held_by, read_header, tg_load, tg_load_wide, tg_store, tg_swap,
)


cdef class BudgetKeeper:
    """All targets of a region. Every method that takes a target's number raises IndexError for one that is not there."""

    cdef list tables

    def __cinit__(self, memory):
        cdef Py_buffer view
        PyObject_GetBuffer(memory, &view, PyBUF_WRITABLE)
        try:
            targets = read_header(&view).targets
        finally:
            PyBuffer_Release(&view)
        self.tables = [Table(memory, target) for target in range(targets)]

    def set_limit(self, target, limit):
        """Set the limit of a new target, before a worker has learned the real one."""
        if limit < 0:
            raise ValueError(f"a limit of connections must not be negative: {limit}")
        cdef Table table = self.tables[target]
        tg_store(&table.head.usable, 0)  # of another database that had this number before
        table.set_limit(min(limit, table.slots), SUPERVISOR)

    def limit(self, target):
        """A target's limit as it is now."""
        cdef Table table = self.tables[target]
        return tg_load(&table.head.policy) >> 1

    def used(self, target):
        """Slots of a target that are held or orphaned."""
        cdef Table table = self.tables[target]
        return table.count(HELD) + table.count(ORPHAN)

    def orphans(self, target):
        """Slots of a target whose worker died and whose backend is not known to be gone."""
        cdef Table table = self.tables[target]
        return table.count(ORPHAN)

    def orphan(self, uint32_t worker):
        """Repair what a dead worker left: break its locks, mark its slots, forget its report.

        Call it once the process has been waited for and before another gets its number.
        Returns (target, slot, backend process id or 0, local port or 0) for each slot that it held.
        """
        cdef Table table
        cdef WorkerRow *row
        cdef uint64_t identity
        cdef int slot
        found = []
        for target, one in enumerate(self.tables):
            table = one
            if worker >= <uint32_t>table.workers:
                raise ValueError(f"no worker {worker} in a budget of {table.workers}")
            row = &table.rows[worker]
            tg_store(&row.waiting, 0)
            tg_store(&row.idle, 0)
            tg_store(&row.in_use, 0)
            tg_store(&row.closing, 0)
            tg_store(&row.held, 0)
            tg_store(&row.ticket, 0)
            tg_store(&row.wants, 0)
            for slot in range(<int>tg_load(&table.head.span)):
                if tg_swap(&table.words[slot], held_by(worker), ORPHAN):
                    identity = tg_load_wide(&table.identities[slot])
                    found.append((target, slot, <int>(identity >> 32), <int>(identity & 0xFFFF)))
            tg_swap(&table.head.lock, worker + 1, 0)
            table.settle(SUPERVISOR)
        return found

    def reclaim(self, target, int slot):
        """Free an orphan whose backend is gone; False if the slot is not an orphan (any more)."""
        cdef Table table = self.tables[target]
        if not 0 <= slot < table.slots or tg_load(&table.words[slot]) != ORPHAN:
            return False
        table.strip(slot)
        return table.give_back(slot, ORPHAN, SUPERVISOR)
