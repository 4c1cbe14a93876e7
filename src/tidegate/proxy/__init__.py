"""The running proxy: the supervisor and its workers, and in a worker the listeners, clients, servers and targets.

Owns the joining of `engine`, `wire`, `session`, `pool` and `auth`, and all that is asked of the operating system:
sockets, processes, signals. Refuses to decide what those packages decide: it brings them bytes and time, and does what
they say.
"""
