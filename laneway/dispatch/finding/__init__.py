"""Finding limits that nobody stated: calls in flight and requests a second."""
