"""Requests that are complete already: OpenAI Batch lines and Anthropic batches, side by side in one file."""
