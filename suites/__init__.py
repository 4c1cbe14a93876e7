"""Published test suites of drivers and ORMs, run directly and through Tidegate under churn, and compared test by test.

Owns where they come from, how they are run, and what may differ. Refuses to change them: what is published is run.
"""
