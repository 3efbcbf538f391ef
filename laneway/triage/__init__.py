"""The nurse: assesses every task, sends it on its way, does none of the work."""
