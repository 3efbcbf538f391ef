"""A provider to practise against: it limits, fails, charges and counts like a real one, and costs nothing."""
