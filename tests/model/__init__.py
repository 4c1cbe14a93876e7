"""What one client must see of its own session, by PostgreSQL's documentation, whatever runs beside it.

    operations/  what a client can do, one class each: its SQL, its effect on the model, the answer that must come
    session      the model of one session: transactions, savepoints, and all that a session keeps
    settings, kept, plans   parts of it: settings; temporary tables, cursors, locks, sequences; prepared statements
    channels, lock_table    what sessions see of each other: notifications, advisory locks
    answers      what must come, what came, and where they differ
    client       a raw client beside its session: sends, compares, keeps a transcript

The model knows nothing of a proxy. `tests/integration/test_session_model.py` runs it straight at the database, which
proves it, and through the proxy, which it proves; `soak/` does so for minutes with many clients.
"""
