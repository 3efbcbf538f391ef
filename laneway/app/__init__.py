"""The composition root: puts config, store, catalog, triage and dispatch together."""
