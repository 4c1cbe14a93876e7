"""IAM's policy language: from documents to a decision, without state and without a clock.

Everything here was written after the IAM User Guide, "IAM JSON policy reference" and "Policy evaluation logic".
"""
