"""Where tasks live: the interface (domain verbs) and its implementations."""
