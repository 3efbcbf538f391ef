"""What is asked of an answer, and whether it is that."""
