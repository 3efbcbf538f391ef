"""Laneway over HTTP: an OpenAI-compatible endpoint whose requests are durable tasks."""
