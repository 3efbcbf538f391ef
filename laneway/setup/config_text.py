"""A commented ``laneway.toml``: every line says in one breath what it is for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from laneway.config.places import dotted
from laneway.providers.presets import presets
from laneway.setup.choices import LOCAL_CONCURRENCY, NAMES
from laneway.setup.material import Material, Shape
from laneway.setup.surroundings import Provider
from laneway.setup.urgencies import meanings

WIDTH = 34  # where a comment behind a setting begins


@dataclass(frozen=True, slots=True)
class NamedModel:
    name: str
    id: str
    account: str
    comment: str
    free: bool = False  # its calls cost nothing


@dataclass(frozen=True, slots=True)
class Plan:
    """What a config is to hold. ``spare``: providers that are only mentioned."""

    providers: Sequence[Provider]
    models: Sequence[NamedModel]
    material: Sequence[Material]
    fallbacks: Sequence[str] = ()
    spare: Sequence[Provider] = ()
    practice_url: str = ""  # the practice provider is the only one there is
    prompts: dict[str, str] = field(default_factory=dict)  # type → path of its prompt


def config_text(plan: Plan) -> str:
    return "\n".join(
        [
            "# How Laneway works in this folder. Change what you like: `laneway config check` says whether it is",
            "# sound, `laneway doctor` whether keys and endpoints work.",
            *_accounts(plan),
            *_models(plan),
            *_types(plan),
            *_urgencies(plan.material),
            *_rules(plan),
            *_defaults(plan),
            "",
        ]
    )


def _set(line: str, comment: str = "") -> str:
    return f"{line:<{WIDTH - 2}}  # {comment}" if comment else line


def _accounts(plan: Plan) -> Iterator[str]:
    yield ""
    if plan.practice_url:
        yield "# There is no key in the environment and no model server on this machine, so the answers come from the"
        yield "# practice provider: it makes them up, and costs nothing. It runs in a terminal of its own."
        yield "[accounts.practice]"
        yield _set('provider = "openai-compatible"', "whatever speaks OpenAI's format")
        yield _set(f'base_url = "{plan.practice_url}"', "where `laneway simulator` listens")
        yield _set("concurrency = 20", "calls at once")
        yield ""
        yield "# For real answers set a key (`export OPENAI_API_KEY=…`) and run `laneway init --force`, or write here:"
        yield "# [accounts.openai]"
        yield _set('# provider = "openai"', "or anthropic, gemini, groq, mistral, ollama, vllm, …")
        yield _set('# api_key_env = "OPENAI_API_KEY"', "the variable that holds the key; never the key itself")
        return
    yield "# An account is one pool of limits: a key at an endpoint. The key itself stays in its variable."
    for number, provider in enumerate(plan.providers):
        if number:
            yield ""
        yield from _account(provider, first=not number)
    for provider in plan.spare:
        yield ""
        yield f"# {NAMES[provider.preset]} could be used as well; take the marks away, and give it a model below."
        yield from ("# " + line for line in _account(provider, first=False))


def _account(provider: Provider, *, first: bool) -> Iterator[str]:
    yield f"[accounts.{provider.preset}]"
    moved = f"its address comes from {provider.address_from}" if provider.address_from else ""
    yield _set(
        f'provider = "{provider.preset}"', moved or f"{NAMES[provider.preset]}: its address and format are known"
    )
    if provider.variable:
        yield _set(f'api_key_env = "{provider.variable}"', "the variable that holds the key")
    if provider.local:
        yield _set(f"concurrency = {LOCAL_CONCURRENCY[provider.preset]}", "calls at once; as many as the server takes")
    elif first:
        yield "# Limits are found out from the provider's answers. To stay below them, or where there are none:"
        yield _set("# concurrency = 20", "calls at once")
        yield _set("# requests_per_minute = 500", "`laneway doctor --call` shows what your key may do")
        yield _set("# tokens_per_minute = 200000", "input and output together")


def _models(plan: Plan) -> Iterator[str]:
    yield ""
    yield "# Models, by the names that are used here and after --model."
    for number, model in enumerate(plan.models):
        if number:
            yield ""
        yield f"[{dotted(('models', model.name))}]"
        yield f'account = "{model.account}"'
        yield _set(f'id = "{model.id}"', model.comment)
        if model.free:
            yield _set("input_price = 0", "USD per million tokens")
            yield "output_price = 0"
        if plan.practice_url and any(one.shape is Shape.DOCUMENTS for one in plan.material):
            yield _set('inputs = ["text", "image", "pdf"]', "what it takes")


def _types(plan: Plan) -> Iterator[str]:
    for material in plan.material:
        prompt = plan.prompts.get(material.name)
        if prompt is None:
            continue
        yield ""
        what = "each document of" if material.shape is Shape.DOCUMENTS else "each row of"
        yield f"# What is done with {what} {material.argument}: `laneway run … --type {material.name}`."
        yield f"[types.{material.name}]"
        yield _set(f'prompt = "{prompt}"', "the words that go to the model")
        yield _set("# max_output_tokens = 1000", "the longest answer, thinking included")
        yield _set(f'# output = "schemas/{material.name}.json"', "a JSON Schema, where the answer shall be data")


def _urgencies(material: Sequence[Material]) -> Iterator[str]:
    found = meanings([word for one in material for word in one.urgencies])
    if not found:
        return
    yield ""
    yield "# What the words in the `urgency` column mean here."
    for urgency, words in found.items():
        yield f"[urgency.{urgency}]"
        yield f"aliases = [{', '.join(_text(word) for word in words)}]"


def _rules(plan: Plan) -> Iterator[str]:
    strong = next((model.name for model in plan.models if model.name == "strong"), None)
    yield ""
    yield "# Rules send some tasks elsewhere. Each fills what the ones before it left open; `laneway explain TASK` says"
    yield "# which one did."
    yield "# [[rules]]"
    yield _set('# when = { tokens = ">4000" }', 'or a word: { text = "/attorney/" }, or a column: { amount = ">1000" }')
    if strong:
        yield f'# model = "{strong}"'
    yield '# urgency = "urgent"'


def _defaults(plan: Plan) -> Iterator[str]:
    yield ""
    yield "# Where nothing else decides."
    yield "[defaults]"
    yield f'model = "{plan.models[0].name}"'
    if plan.fallbacks:
        yield _set(f"fallbacks = [{', '.join(map(_text, plan.fallbacks))}]", "when that model refuses or is down")
    typed = [one.name for one in plan.material if one.name in plan.prompts]
    if typed:
        yield _set(f'type = "{typed[0]}"', "of rows that name none")


def _text(word: str) -> str:
    import json

    return json.dumps(word, ensure_ascii=False)


def known_address(provider: Provider) -> str:
    """Where a provider's calls will go, for people; "" where a variable decides."""
    return "" if provider.address_from else presets()[provider.preset].base_url or ""
