"""Which two models of a provider a new config begins with: one for most tasks, one for the hard ones.

Ids as the providers' model pages had them in November 2026; a test holds that genai-prices knows what each costs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from laneway.providers.presets import Preset, presets


@dataclass(frozen=True, slots=True)
class Pair:
    """Model ids. ``strong`` may be None: a local server with one model."""

    cheap: str
    strong: str | None = None


# in the order in which they become the first choice
HOSTED = {
    "openai": Pair("gpt-6-luna", "gpt-6.1-sol"),
    "anthropic": Pair("claude-haiku-5-5", "claude-sonnet-5-5"),
    "gemini": Pair("gemini-3.5-flash-lite", "gemini-3.8-flash"),
    "groq": Pair("openai/gpt-oss-20b", "openai/gpt-oss-120b"),
    "mistral": Pair("mistral-small-latest", "mistral-medium-latest"),
    "deepseek": Pair("deepseek-v4-flash", "deepseek-v4-pro"),
    "xai": Pair("grok-4-1-fast-non-reasoning", "grok-4.7"),
    "together": Pair("zai-org/GLM-5.3-Flash", "zai-org/GLM-5.3"),
    "openrouter": Pair("openai/gpt-6-luna", "openai/gpt-6.1-sol"),
}
LOCAL = ("ollama", "vllm", "lmstudio")
LOCAL_CONCURRENCY = {"ollama": 4, "vllm": 32, "lmstudio": 4}  # calls at once that such a server usually takes
NAMES = {
    "openai": "OpenAI", "anthropic": "Anthropic", "gemini": "Gemini", "groq": "Groq", "mistral": "Mistral",
    "deepseek": "DeepSeek", "xai": "xAI", "together": "Together", "openrouter": "OpenRouter", "azure": "Azure OpenAI",
    "ollama": "Ollama", "vllm": "vLLM", "lmstudio": "LM Studio",
}  # fmt: skip
_NO_CHAT = re.compile(r"embed|rerank|whisper|tts|moderation|guard|bge-|minilm", re.IGNORECASE)
_SIZE = re.compile(r"(?<![a-z0-9.])(\d+(?:\.\d+)?)\s*([bm])(?![a-z0-9])", re.IGNORECASE)


def hosted() -> list[Preset]:
    """The hosted providers that a config can be proposed for, the likeliest first."""
    known = presets()
    return [known[name] for name in HOSTED]


def of_served(ids: Sequence[str]) -> Pair | None:
    """From what a local server offers: the smallest and the largest by the size in their names (``qwen3:8b``). None
    where nothing there writes text."""
    fit = [id_ for id_ in ids if not _NO_CHAT.search(id_)]
    if not fit:
        return None
    by_size = sorted(fit, key=_size)
    small, large = by_size[0], by_size[-1]
    return Pair(small, large if _size(large) > _size(small) else None)


def _size(id_: str) -> float:
    """Billions of parameters, as a name tells; 0 where it does not."""
    found = _SIZE.findall(id_)
    return max((float(n) / (1 if unit in "bB" else 1000) for n, unit in found), default=0.0)
