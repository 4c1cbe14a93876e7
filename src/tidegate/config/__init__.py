"""Settings: `model` is small and shared with the workers; `load` and what it uses runs only where the proxy is started.

Owns the shape, the defaults, the reading and the checking of settings. Refuses to act on them: it opens no socket, and
no file but the configuration and those that it names.
"""
