"""Laneway over HTTP: the providers' APIs, whose requests are durable tasks."""
