"""Getting tasks in and results out."""
