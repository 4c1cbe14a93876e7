"""HTTP and the AWS protocols: from a request to a call, and from its outcome to an answer."""
