"""What is known of each provider: its wire format, address, key, and how its limits speak."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from laneway.task import Wire


class Dialect(StrEnum):
    """Whose rate-limit headers an endpoint sends."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    GROQ = "groq"  # OpenAI's names, but -requests is per day


class Preset(NamedTuple):
    """``hosts``: where the well-known key belongs. ``prices``: the provider's id in genai-prices ("" : none)."""

    name: str
    wire: Wire = Wire.CHAT
    base_url: str | None = None
    base_url_env: str | None = None
    key_env: str | None = None
    key_header: str = "authorization"  # sent as "Bearer KEY"; any other header carries the bare key
    hosts: tuple[str, ...] = ()
    dialect: Dialect = Dialect.OPENAI
    needs_key: bool = True
    charges_max_tokens: bool = False
    counts_cached: bool = True  # input read from the prompt cache counts for the limits
    strict_schema: bool = True  # understands response_format json_schema
    responses: bool = False  # has /responses
    prices: str = ""
    inputs: tuple[str, ...] = ("text", "image")  # that its models take, unless the config says otherwise of a model


# Keys of providers that have no preset, and where they belong.
KEYS_OF_OTHERS: dict[str, tuple[str, ...]] = {
    "OPENAI_ADMIN_KEY": ("api.openai.com",),
    "AZURE_API_KEY": ("openai.azure.com", "cognitiveservices.azure.com", "services.ai.azure.com"),
    "GOOGLE_API_KEY": ("generativelanguage.googleapis.com",),
    "GITHUB_TOKEN": ("models.github.ai",),
    "GH_TOKEN": ("models.github.ai",),
    "HF_TOKEN": ("router.huggingface.co", "api-inference.huggingface.co"),
    "COHERE_API_KEY": ("api.cohere.ai", "api.cohere.com"),
    "CEREBRAS_API_KEY": ("api.cerebras.ai",),
    "FIREWORKS_API_KEY": ("api.fireworks.ai",),
    "NVIDIA_API_KEY": ("integrate.api.nvidia.com",),
    "PERPLEXITY_API_KEY": ("api.perplexity.ai",),
    "VOYAGE_API_KEY": ("api.voyageai.com",),
}
EVERYTHING = ("text", "image", "pdf")

_PRESETS = (
    Preset(
        "openai",
        base_url="https://api.openai.com/v1",
        base_url_env="OPENAI_BASE_URL",
        key_env="OPENAI_API_KEY",
        hosts=("api.openai.com",),
        charges_max_tokens=True,
        prices="openai",
        responses=True,
        inputs=EVERYTHING,
    ),
    Preset(
        "anthropic",
        wire=Wire.MESSAGES,
        base_url="https://api.anthropic.com/v1",
        base_url_env="ANTHROPIC_BASE_URL",
        key_env="ANTHROPIC_API_KEY",
        key_header="x-api-key",
        hosts=("api.anthropic.com",),
        dialect=Dialect.ANTHROPIC,
        counts_cached=False,
        prices="anthropic",
        inputs=EVERYTHING,
    ),
    Preset(
        "azure",
        base_url_env="AZURE_OPENAI_BASE_URL",
        key_env="AZURE_OPENAI_API_KEY",
        key_header="api-key",
        hosts=("openai.azure.com", "cognitiveservices.azure.com", "services.ai.azure.com"),
        charges_max_tokens=True,
        prices="azure",
        responses=True,
    ),
    Preset(
        "groq",
        base_url="https://api.groq.com/openai/v1",
        base_url_env="GROQ_BASE_URL",
        key_env="GROQ_API_KEY",
        hosts=("api.groq.com",),
        dialect=Dialect.GROQ,
        counts_cached=False,
        prices="groq",
        responses=True,
    ),
    Preset(
        "openrouter",
        base_url="https://openrouter.ai/api/v1",
        base_url_env="OPENROUTER_BASE_URL",
        key_env="OPENROUTER_API_KEY",
        hosts=("openrouter.ai",),
        prices="openrouter",
        responses=True,
        inputs=EVERYTHING,
    ),
    Preset(
        "together",
        base_url="https://api.together.xyz/v1",
        base_url_env="TOGETHER_BASE_URL",
        key_env="TOGETHER_API_KEY",
        hosts=("api.together.xyz", "api.together.ai"),
        prices="together",
    ),
    Preset(
        "mistral",
        base_url="https://api.mistral.ai/v1",
        base_url_env="MISTRAL_BASE_URL",
        key_env="MISTRAL_API_KEY",
        hosts=("api.mistral.ai",),
        prices="mistral",
    ),
    Preset(
        "deepseek",
        base_url="https://api.deepseek.com/v1",
        base_url_env="DEEPSEEK_BASE_URL",
        key_env="DEEPSEEK_API_KEY",
        hosts=("api.deepseek.com",),
        strict_schema=False,
        prices="deepseek",
        inputs=("text",),
    ),
    Preset(
        "gemini",
        base_url="https://generativelanguage.googleapis.com/v1beta/openai",
        base_url_env="GEMINI_BASE_URL",
        key_env="GEMINI_API_KEY",
        hosts=("generativelanguage.googleapis.com",),
        prices="google",
    ),
    Preset(
        "xai",
        base_url="https://api.x.ai/v1",
        base_url_env="XAI_BASE_URL",
        key_env="XAI_API_KEY",
        hosts=("api.x.ai",),
        prices="x-ai",
        responses=True,
    ),
    Preset("vllm", base_url="http://127.0.0.1:8000/v1", base_url_env="VLLM_BASE_URL", needs_key=False, responses=True),
    Preset(
        "ollama", base_url="http://127.0.0.1:11434/v1", base_url_env="OLLAMA_BASE_URL", needs_key=False, responses=True
    ),
    Preset(
        "lmstudio",
        base_url="http://127.0.0.1:1234/v1",
        base_url_env="LMSTUDIO_BASE_URL",
        needs_key=False,
        responses=True,
    ),
    Preset("openai-compatible", needs_key=False),
)


def presets() -> dict[str, Preset]:
    """All presets by name."""
    return {preset.name: preset for preset in _PRESETS}


def well_known_keys() -> dict[str, Preset]:
    """The providers' own key variables, and whose they are."""
    return {preset.key_env: preset for preset in _PRESETS if preset.key_env}
