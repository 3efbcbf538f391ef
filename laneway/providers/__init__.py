"""The providers: their formats, limits, prices and ways to fail."""
