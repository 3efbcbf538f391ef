"""What a run would take: pure arithmetic over tasks, limits, prices and what earlier calls took."""
