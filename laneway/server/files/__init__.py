"""Files: what clients send for their batches, and what becomes of these."""
