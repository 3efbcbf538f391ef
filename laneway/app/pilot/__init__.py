"""``laneway triage pilot``: the same sample of tasks on two models, compared."""
