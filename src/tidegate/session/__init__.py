"""What a client's session has set, and what a text of SQL may change in it.

Owns the scanner of SQL, settings and their replay, prepared statements, the reasons for pinning. Refuses sockets, the
clock, and the layout of messages (`wire`).
"""
