"""Tidegate: a connection proxy for serverless clients of relational databases."""

__version__ = "0.1.0"
