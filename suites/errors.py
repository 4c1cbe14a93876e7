"""What goes wrong in a run of the suites.

Owns the one exception that ends a run with a line of words. Refuses to word it: whoever raises it does.
"""


class SuiteError(Exception):
    """A suite could not be fetched, set up or run to its end."""
