"""Running tasks: who goes next, what the limits permit, what to do after a failure."""
