"""The AWS services, a folder each: records, errors, and a class whose methods are the API's operations."""
