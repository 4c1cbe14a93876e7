"""The fixed numbers of the pool's decisions, each with its unit and why it is what it is.

Owns the constants. Refuses settings: what an operator may choose is `limits`. The compiled modules copy those that
they use often into C variables of their own (`_NAME`).
"""

# Lending (`pool`)
FIT_DEPTH = 4  # idle servers looked at for one whose settings fit: the few settings that clients of one pool share
PATIENCE = 0.05  # seconds that a client waits for another server than its last before that is replaced (`rotation`)

# Shares (`quota`)
PERIOD = 0.1  # seconds between two sharings out; also the window over which a pool's largest need is kept
FADE = 0.7  # part of a pool's past demand that still counts one PERIOD later
STALE = 0.5  # seconds without a sharing out after which past demand tells nothing
ROTATION = 1.0  # seconds that a pool keeps a server more than its equals

# Moving servers between pools (`allocator`)
LINGER = 0.2  # seconds that an idle server stays with a pool that used it, while pools with enough ask for more
MIN_HOLD = 0.025  # seconds that a server serves its pool before it can be given up to a pool that has none
MAX_HOLD = 1.0  # and the most that slow logins may lengthen this to
HOLD_PER_OPEN = 10.0  # a hold lasts at least this many times what opening takes, so that most time goes to clients
KEEP_MOST = 2.0  # seconds that a place is kept for a pool under two full limits (`keeper`)

# Opening (`pacing`)
FIRST_PAUSE = 0.1  # seconds; a restart of PostgreSQL takes a few of these
LONGEST_PAUSE = 5.0  # seconds; how late a recovery may be noticed
JITTER = 0.25  # a pause is up to this part longer, so that several workers do not knock together
TOP_UP_PAUSE = 30.0  # seconds without minimum-size servers for a pool that the database turned away

# Looking up (`governor`, `reaper`)
LOOK_PERIOD = 0.001  # seconds between two looks, while nobody here waits, at what other workers need
LOOKED_AT_ONCE = 16  # contended limits that a LOOK_PERIOD is enough for; with more, looks are that much rarer
RECHECK = 0.1  # seconds; while clients wait, plan is called at least this often, in case a signal was lost
SHORTEST_REST = 1.0  # seconds between two sweeps: how late a timeout may be noticed
