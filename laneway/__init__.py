"""Laneway: a triage desk and parallel engine for AI tasks."""
