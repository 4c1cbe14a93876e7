"""Which settings a statement's text is read by.

Owns their names, which the scanner and the settings both need. Refuses their values (`settings`).
"""

PARSE_CONTEXT = (
    "search_path",
    "role",
    "session_authorization",
    "standard_conforming_strings",
    "datestyle",
    "timezone",
    "intervalstyle",
    "client_encoding",
)
"""Settings on which the meaning of a statement's text depends at the time it is parsed."""
