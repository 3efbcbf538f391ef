"""From what was found to files and commands: a config, prompts, and what to type next."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
import shlex
import socket
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from laneway.setup.config_text import NamedModel, Plan, config_text
from laneway.setup.material import Material, Shape, of_rows
from laneway.setup.prompt_text import prompt_for
from laneway.setup.surroundings import Provider

CONFIG = "laneway.toml"
FEW = 5  # tasks to try first
PRACTICE_PORT = 8090  # the simulator's own default
EXAMPLE = "examples.csv"
_EXAMPLE_ROWS = (
    {"id": "1", "customer": "Ada", "message": "The parcel arrived wet and the book inside is ruined."},
    {"id": "2", "customer": "Bo", "message": "Thank you, the new lamp is just right!"},
    {"id": "3", "customer": "Chi", "message": "I was charged twice for order 7731. Please pay one back."},
)


@dataclass(frozen=True, slots=True)
class NewFile:
    path: str  # relative to the folder
    text: str


@dataclass(frozen=True, slots=True)
class Step:
    command: str
    why: str


@dataclass(frozen=True, slots=True)
class Proposal:
    files: tuple[NewFile, ...]
    found: tuple[str, ...]  # for people: what this rests on
    material: tuple[Material, ...]
    prompts: dict[str, str]  # type → path of its prompt
    foreign: tuple[str, ...] = ()  # model ids that batch files name and no provider here has
    practice_port: int = 0  # where the practice provider shall listen; 0: it is not needed


def propose(material: Sequence[Material], providers: Sequence[Provider], *, port: int = PRACTICE_PORT) -> Proposal:
    """Files for this material on these providers, the first of which is used first. Without any: the practice provider
    on ``port``; without material: three example rows."""
    files: list[NewFile] = []
    if not material:
        material = [of_rows(EXAMPLE, _EXAMPLE_ROWS)]
        files.append(NewFile(EXAMPLE, _csv(_EXAMPLE_ROWS)))
        found = [f"data: none, so {EXAMPLE} with three rows to begin with"]
    else:
        found = [_told(one) for one in material]
    material = _named_apart(material)
    prompts = {one.name: f"prompts/{one.name}.j2" for one in material if one.shape is not Shape.BATCH}
    plan = _plan(material, providers, prompts, f"http://127.0.0.1:{port}/v1")
    files = [NewFile(CONFIG, config_text(plan)), *files]
    files += [NewFile(prompts[one.name], prompt_for(one)) for one in material if one.name in prompts]
    found += _models_told(plan, providers)
    return Proposal(
        files=tuple(files),
        found=tuple(found),
        material=tuple(material),
        prompts=prompts,
        foreign=tuple(_foreign(material, providers)),
        practice_port=port if plan.practice_url else 0,
    )


def _named_apart(material: Sequence[Material]) -> list[Material]:
    """claims.csv and claims.xlsx need two types."""
    taken: set[str] = set()
    apart = []
    for one in material:
        name, n = one.name, 1
        while name in taken:
            n += 1
            name = f"{one.name}_{n}"
        taken.add(name)
        apart.append(dataclasses.replace(one, name=name))
    return apart


def _plan(material: Sequence[Material], providers: Sequence[Provider], prompts: dict[str, str], practice: str) -> Plan:
    if not providers:
        models = [
            NamedModel("small", "practice-small", "practice", "the cheap one, for most tasks", free=True),
            NamedModel("strong", "practice-strong", "practice", "the strong one, for the hard tasks", free=True),
        ]
        models += _named_in_batches(material, models, [])
        return Plan((), models, material, practice_url=practice, prompts=prompts)
    first = providers[0]
    second = next((p for p in providers[1:] if not p.local and not first.local), None)
    local = next((p for p in providers[1:] if p.local and not first.local), None)
    used = [p for p in (first, second, local) if p is not None]
    models = _pair(first, "")
    fallbacks = []
    if second is not None:
        models += _pair(second, f"_{second.preset}")
        fallbacks = [f"small_{second.preset}"]
    if local is not None:
        models.append(_model("local", local.models.strong or local.models.cheap, local, "on this machine"))
    spare = [p for p in providers if p not in used]
    models += _named_in_batches(material, models, used)
    return Plan(used, models, material, fallbacks, spare, prompts=prompts)


def _pair(provider: Provider, suffix: str) -> list[NamedModel]:
    pair = [_model("small" + suffix, provider.models.cheap, provider, "for most tasks")]
    if provider.models.strong:
        pair.append(_model("strong" + suffix, provider.models.strong, provider, "for the hard ones"))
    return pair


def _model(name: str, id_: str, provider: Provider, comment: str) -> NamedModel:
    return NamedModel(name, id_, provider.preset, comment + _price(provider, id_), free=provider.local)


def _price(provider: Provider, id_: str) -> str:
    from laneway.providers.presets import presets
    from laneway.providers.prices import price_of

    table = presets()[provider.preset].prices
    price = price_of(table, id_) if table else None
    return "" if price is None else f"; ${price.input:,.2f} in, ${price.output:,.2f} out per million tokens"


def _named_in_batches(
    material: Sequence[Material], models: Sequence[NamedModel], used: Sequence[Provider]
) -> list[NamedModel]:
    """A model for every id that a batch file's requests name and whose provider is here."""
    listed = {model.id for model in models}
    found = []
    for id_ in dict.fromkeys(id_ for one in material for id_ in one.models):
        if id_ in listed or id_ in {model.name for model in models}:
            continue
        if not used:
            found.append(NamedModel(id_, id_, "practice", "named by the batch file", free=True))
        elif (provider := _owner(id_, used)) is not None:
            found.append(_model(id_, id_, provider, "named by the batch file"))
    return found


def _owner(id_: str, used: Sequence[Provider]) -> Provider | None:
    """Whose model an id is, by its first letters; another's than OpenAI's and Anthropic's is the first provider's."""
    own = "anthropic" if id_.startswith("claude") else "openai" if re.match(r"(gpt-|o\d|chatgpt|text-emb)", id_) else ""
    return next((p for p in used if p.preset == own), None) if own else used[0]


def _foreign(material: Sequence[Material], providers: Sequence[Provider]) -> list[str]:
    """Ids that batch files name and that no provider here has."""
    named = dict.fromkeys(id_ for one in material for id_ in one.models)
    return [id_ for id_ in named if providers and _owner(id_, providers) is None]


def _told(one: Material) -> str:
    match one.shape:
        case Shape.BATCH:
            return f"data: {one.argument}, a batch file" + (f" for {', '.join(one.models)}" if one.models else "")
        case Shape.DOCUMENTS:
            return f"data: {one.argument}, documents ({', '.join(one.suffixes)})"
        case Shape.RECORDS:
            names = [column.name for column in one.columns]
            more = f" and {len(names) - 8} more" if len(names) > 8 else ""
            return f"data: {one.argument} with {', '.join(names[:8])}{more}"


def _models_told(plan: Plan, providers: Sequence[Provider]) -> list[str]:
    if plan.practice_url:
        return ["models: no key and no model server, so the practice provider, whose answers are made up"]
    spare = [f"models: {provider.told}, left as a comment" for provider in plan.spare]
    return [f"models: {provider.told}" for provider in providers if provider not in plan.spare] + spare


def steps(proposed: Proposal, *, types: Collection[str] | None = None) -> tuple[Step, ...]:
    """What to type next. ``types``: those of a config that was there before and is kept; then a prompt is named where
    it has no type of that name."""
    first = [Step("laneway doctor", "whether keys and endpoints work; costs nothing")]
    if proposed.practice_port and types is None:
        asked = "" if proposed.practice_port == PRACTICE_PORT else f" --port {proposed.practice_port}"
        first = [Step(f"laneway simulator{asked}", "in a second terminal: the practice provider")]
    return (*first, *_runs(proposed, types))


def _runs(proposed: Proposal, types: Collection[str] | None) -> Iterator[Step]:
    for number, one in enumerate(proposed.material):
        command = f"laneway run {shlex.quote(one.argument)}"
        foreign = [id_ for id_ in one.models if id_ in proposed.foreign]
        if foreign:
            yield Step(f"{command} --triage", f"on the models here: there is no key for {', '.join(foreign)}")
            continue
        if one.name in proposed.prompts:
            known = types is None or one.name in types
            command += f" --type {one.name}" if known else f" --prompt {shlex.quote(proposed.prompts[one.name])}"
        if number == 0 and (one.rows > FEW or one.shape is not Shape.RECORDS):
            yield Step(f"{command} --limit {FEW}", "a few, to see how it goes")
        yield Step(command, "all; what is done already is not paid again" if number == 0 else "the same for these")


def free_port(first: int = PRACTICE_PORT) -> int:
    """The first port from there on that nothing listens on."""
    for port in range(first, first + 20):
        with socket.socket() as probe:
            probe.settimeout(0.1)
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    return first


def _csv(rows: Sequence[dict[str, str]]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()
