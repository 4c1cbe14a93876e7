"""The control plane's state on disk: SQLite, one file, committed before a call answers."""
