"""Tasks that are Python functions: running them, their own model calls, callbacks of their ends."""
