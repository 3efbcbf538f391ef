"""Flows: durable async functions made of tasks."""
