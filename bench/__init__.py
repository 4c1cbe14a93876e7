"""The benchmark: direct, Tidegate and PgBouncer in turn, in one run, with the same work on all sides.

`python -m bench` runs it. Owns load, measurement, statistics and the report. Refuses to be a test: nothing here passes
or fails, and no number of it is asserted anywhere.
"""
