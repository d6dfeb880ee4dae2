"""The workers that compute the same cases in Python, each a process of its own."""
