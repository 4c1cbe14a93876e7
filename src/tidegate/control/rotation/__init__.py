"""Rotation of database passwords without a Lambda function: AWS's four steps, built in, as tasks.

`steps` is the order of things, `databases` and `strategies` what is asked of PostgreSQL, `handlers` the tasks.
"""
