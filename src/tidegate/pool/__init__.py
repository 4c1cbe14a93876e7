"""Who gets a server connection, and when one is opened or closed.

Owns the decisions: borrowing, queues, fair shares, limits, the budget that workers share, pacing, reaping. Refuses
sockets and the clock: time is an argument, and what is decided comes out as commands (`actions`) that `proxy` carries
out.
"""
