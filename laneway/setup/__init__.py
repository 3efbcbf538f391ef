"""The first ten minutes: what is there, a config for it, and what is wrong with it."""
