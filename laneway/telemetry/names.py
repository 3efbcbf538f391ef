"""Every attribute's name, and the values that the conventions give.

``gen_ai.*``: OpenTelemetry's semantic conventions for generative AI, client spans, in their newest form (status:
Development; they may still change, and then they change here). ``error.type``, ``server.*`` are stable. What is
``laneway.*`` is our own.
"""

from __future__ import annotations

from laneway.task import Wire

OPERATION = "gen_ai.operation.name"
PROVIDER = "gen_ai.provider.name"
REQUEST_MODEL = "gen_ai.request.model"
REQUEST_STREAM = "gen_ai.request.stream"
RESPONSE_MODEL = "gen_ai.response.model"
RESPONSE_ID = "gen_ai.response.id"
FINISH_REASONS = "gen_ai.response.finish_reasons"
INPUT_TOKENS = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS = "gen_ai.usage.output_tokens"
CACHE_READ_TOKENS = "gen_ai.usage.cache_read.input_tokens"
CACHE_CREATION_TOKENS = "gen_ai.usage.cache_creation.input_tokens"
OUTPUT_TYPE = "gen_ai.output.type"
INPUT_MESSAGES = "gen_ai.input.messages"  # content: only where it is asked for
OUTPUT_MESSAGES = "gen_ai.output.messages"
SYSTEM_INSTRUCTIONS = "gen_ai.system_instructions"

# Of a request's body, by the names that providers have for it.
PARAMETERS = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "top_k": "gen_ai.request.top_k",
    "max_tokens": "gen_ai.request.max_tokens",
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "max_output_tokens": "gen_ai.request.max_tokens",
    "seed": "gen_ai.request.seed",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "n": "gen_ai.request.choice.count",
    "dimensions": "gen_ai.embeddings.dimension.count",
}

ERROR_TYPE = "error.type"
OTHER_ERROR = "_OTHER"
SERVER_ADDRESS, SERVER_PORT = "server.address", "server.port"

TASK_ID = "laneway.task.id"
TASK_TYPE = "laneway.task.type"
RUN_ID = "laneway.run.id"
LANE = "laneway.lane"
URGENCY = "laneway.urgency"
TEAM = "laneway.team"
ATTEMPT = "laneway.attempt"  # of the task, from 1
ACCOUNT = "laneway.account"
MODEL = "laneway.model"  # the configured name
COST_USD = "laneway.cost_usd"

OPERATIONS = {Wire.CHAT: "chat", Wire.MESSAGES: "chat", Wire.RESPONSES: "chat", Wire.EMBEDDINGS: "embeddings"}
PROVIDERS = {  # those that the conventions call otherwise than our presets
    "azure": "azure.ai.openai",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "vertex": "gcp.vertex_ai",
    "xai": "x_ai",
}
