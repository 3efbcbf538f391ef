"""Whose models could be used from here: keys in the environment, model servers on this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from laneway.providers.presets import presets
from laneway.setup.choices import LOCAL, NAMES, Pair, hosted, of_served
from laneway.setup.servers import ask_models

PATIENCE_S = 0.7  # for a server on this machine to list its models


@dataclass(frozen=True, slots=True)
class Provider:
    """One that can be used. ``variable`` holds its key ("" where it needs none)."""

    preset: str
    models: Pair
    variable: str = ""
    base_url: str = ""  # where it is not the preset's own
    address_from: str = ""  # the variable that moves it to another address

    @property
    def local(self) -> bool:
        return self.preset in LOCAL

    @property
    def told(self) -> str:
        """``OpenAI (OPENAI_API_KEY)``, ``Ollama (qwen3:8b, llama3.3:70b)``."""
        ids = ", ".join(filter(None, (self.models.cheap, self.models.strong)))
        return f"{NAMES[self.preset]} ({self.variable or ids})"


def with_keys(env: Mapping[str, str]) -> list[Provider]:
    """Hosted providers whose key is in the environment, the likeliest first. The keys themselves stay there."""
    from laneway.setup.choices import HOSTED

    found = []
    for preset in hosted():
        if preset.key_env and env.get(preset.key_env, "").strip():
            moved = preset.base_url_env if preset.base_url_env and env.get(preset.base_url_env, "").strip() else ""
            found.append(Provider(preset.name, HOSTED[preset.name], preset.key_env, address_from=moved or ""))
    return found


async def on_this_machine(env: Mapping[str, str]) -> list[Provider]:
    """Model servers that answer where they usually listen, or where their ``*_BASE_URL`` points on this machine."""
    import aiohttp

    from laneway.providers.trust import is_loopback

    known = presets()
    places = []
    for name in LOCAL:
        preset = known[name]
        own = env.get(preset.base_url_env or "", "").strip().rstrip("/")
        url = own or preset.base_url or ""
        if is_loopback(url):
            places.append((name, url, preset.base_url_env or "" if own else ""))
    async with aiohttp.ClientSession() as session:
        heard = await asyncio.gather(*(ask_models(session, url, timeout=PATIENCE_S) for _, url, _ in places))
    found: list[Provider] = []
    seen: set[str] = set()
    for (name, url, variable), answer in zip(places, heard, strict=True):
        pair = of_served(answer.models) if answer.is_list else None
        if pair is not None and url not in seen:
            seen.add(url)
            found.append(Provider(name, pair, address_from=variable))
    return found
