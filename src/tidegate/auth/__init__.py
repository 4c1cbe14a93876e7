"""Who a client is and how the proxy shows a database that it may act for that client.

Owns SCRAM, MD5, stored verifiers, PostgreSQL's rules of admission, and what is remembered of roles. Refuses sockets,
the clock (time is an argument) and reading anything from anywhere: `proxy` fetches, `auth` decides.
"""
