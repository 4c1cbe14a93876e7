"""The control plane: AWS APIs (rds, secretsmanager, iam, sts, ec2) over state in SQLite.

Owns the account, its resources, who may do what, and the desired state of the data plane. Refuses to serve a database
client and does not import `tidegate.proxy`: `ports` says what it asks of a data plane, and the program that starts both
joins them. The proxy goes on serving while this is down.
"""
