"""A config as somebody would write it. Its line numbers are counted on: the text begins with an empty line."""

GOOD = """
[accounts.main]
provider = "openai"
base_url = "http://127.0.0.1:8090/v1"
api_key_env = "SHOP_KEY"
concurrency = 20

[models.small]
account = "main"
id = "gpt-4o-mini"
timeout = "2m"

[models."gpt-4.1"]
accounts = ["main"]
id = "gpt-4.1-2025"

[lanes.legal]
concurrency = 10

[urgency.urgent]
target_wait = "1m"
aliases = ["high", "P1"]

[[rules]]
name = "attorneys"
when = { text = "/attorney/" }
lane = "legal"

[defaults]
model = "small"
"""
