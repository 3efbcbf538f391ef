"""What is wrong between the sections: names that lead nowhere, words with two meanings, files that are not there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from laneway.config.code import is_reference
from laneway.config.faults import Fault, close_match
from laneway.config.models import CheckConfig, ClassifierConfig, Config, parse_urgency
from laneway.config.patterns import BadPattern, finder
from laneway.config.places import Place, dotted
from laneway.task import Urgency

FILLED_BY_RULES = ("lane", "model", "urgency", "fallbacks", "category", "complexity", "urgency_up_to")


def check(config: Config) -> Iterator[Fault]:
    yield from _urgencies(config)
    for name, model in config.models.items():
        field = "account" if model.account else "accounts"
        for account in model.account_names:
            yield from _known("account", account, config.accounts, ("models", name, field))
    for index, rule in enumerate(config.rules):
        place = ("rules", index)
        yield from _models(config, rule, place)
        if "when" not in rule.model_fields_set and not rule.function:
            yield Fault(place, "give it `when` or `function`; when = {} is for every task")
        if not rule.function and all(getattr(rule, field) is None for field in FILLED_BY_RULES):
            yield Fault(place, f"it fills nothing; give it one of {', '.join(FILLED_BY_RULES)}")
    yield from _models(config, config.defaults, ("defaults",))
    if config.defaults.type is not None:
        yield from _known("type", config.defaults.type, config.types, ("defaults", "type"))
    for name, kind in config.types.items():
        yield from _models(config, kind, ("types", name))
        for field in ("system", "prompt", "output"):
            path = getattr(kind, field)
            if path is not None and not (field == "output" and is_reference(str(path))):
                yield from _file(config.folder / path, ("types", name, field))
        for index, one in enumerate(kind.checks):
            yield from _check_of_answers(config, one, ("types", name, "checks", index))
        if kind.escalate and config.triage.answers is None:
            yield Fault(("types", name, "escalate"), "nothing judges answers; name a file under [triage] answers")
    if config.triage.answers is not None:
        yield from _file(config.folder / config.triage.answers, ("triage", "answers"))
    if config.triage.classifier is not None:
        yield from _classifier(config, config.triage.classifier)
    yield from _misspelt_by_environment(config)


def _file(path: Path, place: Place) -> Iterator[Fault]:
    if not path.is_file():
        yield Fault(place, f"there is no file {path}")


def _check_of_answers(config: Config, check: CheckConfig, place: Place) -> Iterator[Fault]:
    if check.pattern is not None:
        try:
            finder(check.pattern)
        except BadPattern as error:
            yield Fault((*place, "pattern"), f"this pattern cannot be used: {error}")
    if check.schema_ is not None:
        yield from _file(config.folder / check.schema_, (*place, "schema"))
    if check.function is not None and not is_reference(check.function):
        yield Fault((*place, "function"), 'this must be "module:function"')


def _known(what: str, name: str, names: Mapping[str, Any], place: Place) -> Iterator[Fault]:
    if name not in names:
        known = f"; known: {', '.join(names)}" if names else f"; there is no [{what}s.…] at all"
        yield Fault(place, f"there is no {what} {name!r}" + (close_match(name, names) or known))


def _models(config: Config, section: Any, place: Place) -> Iterator[Fault]:
    """The models and the urgency that a rule, a type or the defaults name. Without configured models any id may be
    named."""
    for field in ("model", "fallbacks"):
        value = getattr(section, field)
        for name in [value] if isinstance(value, str) else value or ():
            if not config.models or name in config.models:
                continue
            own = next((own for own, model in config.models.items() if model.id == name), None)
            if own is not None:
                yield Fault((*place, field), f"{name!r} is the provider's id of the model {own!r}: write {own!r}")
            else:
                yield from _known("model", name, config.models, (*place, field))
    if section.fallbacks and not section.model and place[0] != "rules":
        yield Fault((*place, "fallbacks"), "fallbacks belong to a model: name it here too")
    for field in ("urgency", "urgency_up_to"):
        if (word := getattr(section, field, None)) is not None:
            try:
                config.urgency_of(word)
            except ValueError as error:
                aliases = [alias for own in config.urgency.values() for alias in own.aliases]
                also = f" (and by alias: {', '.join(aliases)})" if aliases else ""
                yield Fault((*place, field), f"{error}{also}")


def _classifier(config: Config, settings: ClassifierConfig) -> Iterator[Fault]:
    place: Place = ("triage", "classifier")
    if config.models:
        yield from _known("model", settings.model, config.models, (*place, "model"))
    if not settings.fields:
        yield Fault((*place, "fields"), "name what it is asked for: category, complexity, urgency")
    for label in settings.fields.get("complexity", ()):
        if label not in ("low", "medium", "high"):
            yield Fault((*place, "fields", "complexity"), f"{label!r} is no complexity: low, medium, high")
    for label in settings.fields.get("urgency", ()):
        if label not in [urgency.label for urgency in Urgency]:
            yield Fault((*place, "fields", "urgency"), f"{label!r} is not an urgency")
    if settings.instructions is not None:
        yield from _file(config.folder / settings.instructions, (*place, "instructions"))


def _urgencies(config: Config) -> Iterator[Fault]:
    names = [urgency.label for urgency in Urgency]
    meaning: dict[str, str] = {name: name for name in names}
    for name, own in config.urgency.items():
        try:
            urgency = parse_urgency(name)
        except ValueError as error:
            yield Fault(("urgency", name), str(error) + close_match(name, names))
            continue
        if urgency.label != name:
            yield Fault(("urgency", name), f"write it in lower case: {urgency.label}")
            continue
        for alias in own.aliases:
            word = alias.strip().casefold()
            if not word:
                yield Fault(("urgency", name, "aliases"), "an alias cannot be empty")
            elif meaning.setdefault(word, name) != name:
                yield Fault(("urgency", name, "aliases"), f"{alias!r} already means {meaning[word]}")


def _lane_of_classifier(config: Config) -> tuple[str, ...]:
    return () if config.triage.classifier is None else (config.triage.classifier.lane,)


def _misspelt_by_environment(config: Config) -> Iterator[Fault]:
    """``LANEWAY_ACCOUNTS__MIAN__CONCURRENCY`` would make an account that nobody asks, and leave main without a limit.
    An entry that only variables name must be referred to, or at least not look like one from the files."""
    used: dict[str, set[str | None]] = {
        "accounts": {name for model in config.models.values() for name in model.account_names},
        "lanes": {
            config.defaults.lane,
            *_lane_of_classifier(config),
            *(s.lane for s in config.rules),
            *(s.lane for s in config.types.values()),
        },
        "types": {config.defaults.type},
    }
    for table, referred_to in used.items():
        entries: Mapping[str, Any] = getattr(config, table)
        variables = {name: _only_variables(config, table, name) for name in entries}
        from_files = [name for name in entries if not variables[name]]
        for name, variable in variables.items():
            if variable and name not in referred_to and (close := close_match(name, from_files)):
                yield Fault((table, name), f"no such entry in the files, and nothing refers to it{close}", variable)


def _only_variables(config: Config, table: str, name: str) -> str:
    """One of the variables that an entry consists of, or "" where a file names it too."""
    inside = dotted((table, name))
    sources = [source for place, source in config.origin.items() if place == inside or place.startswith(inside + ".")]
    variables = [source for source in sources if source.startswith("LANEWAY_")]
    return variables[0] if variables and len(variables) == len(sources) else ""
