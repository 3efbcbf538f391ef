"""Submitting inside the caller's own transaction, and carrying what was committed to the store."""
