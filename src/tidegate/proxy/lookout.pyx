"""A look at what other workers lack, after a server came back too soon after the last one (`Governor.unseen`).

Owns the timer. Refuses to look: its target does.

Without it another worker would wait for an idle server until the next tick, or the next time that one comes back. A
worker that is busy looks anyway, each time a server comes back when a look is due. So where more than one server a
LOOK_PERIOD was lent meanwhile, the timer takes twice the time: to ring a thousand times a second would cost more than
what it is for.
"""

from tidegate.pool.tuning import LOOK_PERIOD

cdef double PERIOD = LOOK_PERIOD
cdef double LONGEST = 8 * LOOK_PERIOD  # seconds that a server may stay unseen at the end of a busy time


cdef class Lookout:
    def __init__(self, Loop loop, Governor governor, act):
        self.loop = loop
        self.governor = governor
        self.act = act
        self.pause = PERIOD

    cdef int expect(self) except -1:
        """A server is unseen: look in a moment, if nobody does before."""
        if not self.set:
            self.set = True
            self.borrowed = self.governor._borrowed
            self.loop.call_later(self.pause, self.look)
        return 0

    def look(self):
        """The timer has rung."""
        cdef bint busy = (self.governor._borrowed - self.borrowed) * PERIOD > self.pause
        self.set = False
        if not self.governor.unseen:
            return
        if busy and self.pause < LONGEST:
            self.pause *= 2
            self.expect()
            return
        if not busy:
            self.pause = PERIOD
        self.act()
