"""pydantic-ai agents as flows. Needs ``laneway[agents]``; nothing here is imported before an agent is."""
