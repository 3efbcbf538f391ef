"""Telling other servers that tasks have ended."""
