"""A look at what other workers lack, after a server came back too soon after the last one (`Governor.unseen`).

Owns the timer. Refuses to look: its target does.

Without it another worker would wait for an idle server until the next tick, or the next time that one comes back. A
worker that is busy looks anyway, each time a server comes back when a look is due. So a timer that finds no look due
when it rings takes twice the time for the next one: looking at the clock a thousand times a second would cost more than
what it is for.
"""

from tidegate.pool.tuning import LOOK_PERIOD

LONGEST = 0.008  # seconds that a server may stay unseen at the end of a busy time


cdef class Lookout:
    def __init__(self, Loop loop, Governor governor, act):
        self.loop = loop
        self.governor = governor
        self.act = act
        self.pause = LOOK_PERIOD

    cdef int expect(self) except -1:
        """A server is unseen: look when that is due, if nobody does before."""
        if not self.set:
            self.set = True
            self.loop.call_later(self.pause, self.look)
        return 0

    def look(self):
        """The timer has rung."""
        self.set = False
        if not self.governor.unseen:
            return
        if self.loop.now >= self.governor.look_at:
            self.pause = LOOK_PERIOD
            self.act()
        else:
            self.pause = min(2 * self.pause, LONGEST)
            self.expect()
