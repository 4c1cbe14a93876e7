"""The event loop and the byte streams of a worker: epoll, buffers, timers (compiled).

Owns file descriptors and time. Refuses to know any protocol or policy: whoever uses a stream is its `StreamOwner`.
"""
