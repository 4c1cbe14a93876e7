"""AWS Secrets Manager: secrets, their versions and labels, policies on them, and when they are rotated.

Who rotates a database's password is `tidegate.control.rotation`; what RDS reads is `credentials`.
"""
