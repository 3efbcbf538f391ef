"""Batches: each a run of its own, so that it goes on whichever server is there."""
