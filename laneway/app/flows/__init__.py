"""Flows, carried out by a worker."""
