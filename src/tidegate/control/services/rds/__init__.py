"""Amazon RDS's API, as far as database proxies need it: proxies, endpoints, targets, instances, subnet groups, events.

Owns their records and what the operations on them do. Refuses to run a proxy (`desired` tells what is to run), to know
networks (`networks.Network` is handed in), secrets' values and policies.
"""
