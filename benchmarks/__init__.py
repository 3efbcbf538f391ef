"""What Laneway measures of itself, with real processes and real sockets, against a bound from the same run."""
