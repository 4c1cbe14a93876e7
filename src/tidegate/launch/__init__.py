"""`tidegate serve --api`: the control plane and the proxy, which do not know each other, in one process.

Owns what lies between the two: the desired state as a configuration, health, tokens, certificates. Refuses what either
does by itself.
"""
