"""Rules: when they match, and what they would fill. From the config, or functions in Python."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from laneway.config.code import load_object
from laneway.config.models import Config, RuleConfig
from laneway.errors import ConfigError, InputError
from laneway.task import Urgency
from laneway.triage.conditions import Predicate, compile_when, fields_named
from laneway.triage.patient import Patient

RuleFunction = Callable[[Patient], Mapping[str, Any] | None]
Filling = Mapping[str, Any]  # of MAY_SAY: checked, urgency as Urgency, fallbacks as a tuple

FILLED = ("lane", "urgency", "model", "fallbacks", "category", "complexity")
MAY_SAY = (*FILLED, "urgency_up_to")  # how far a text alone may raise the urgency of a task
COMPLEXITIES = ("low", "medium", "high")


@dataclass(slots=True)
class Rule:
    """``fill`` gives None where a function abstains. ``fields``: the record's fields that the conditions look at.
    ``looks_at``: names on which it depends, or None where a function may look at anything."""

    name: str
    applies: Predicate
    fill: Callable[[Patient], Filling | None]
    fields: frozenset[str] = frozenset()
    looks_at: frozenset[str] | None = frozenset()
    matched: bool = False


def compile_rules(config: Config, functions: Mapping[str, RuleFunction], models: Collection[str] | None) -> list[Rule]:
    """The config's rules in their order, then ``functions``. Raises one ConfigError for all that is wrong with them."""
    rules: list[Rule] = []
    faults: list[ConfigError] = []
    for number, rule in enumerate(config.rules, 1):
        try:
            rules.append(_from_config(number, rule, config, models))
        except ConfigError as error:
            faults.append(error)
    if faults:
        text = "; ".join(fault.message for fault in faults)
        hints = dict.fromkeys(fault.hint for fault in faults)
        raise ConfigError(text, hint="; ".join(hints))
    for name, function in functions.items():
        shown = f"rule {name}()"
        _refuse_async(function, shown)
        ask = _asking(shown, function, {}, config, models)
        rules.append(Rule(shown, lambda patient, standing: True, ask, looks_at=None))
    return rules


def _from_config(number: int, rule: RuleConfig, config: Config, models: Collection[str] | None) -> Rule:
    name = f"rule {number}" + (f' "{rule.name}"' if rule.name else "")
    applies = compile_when(rule.when, config, name)
    given = {field: value for field in MAY_SAY if (value := getattr(rule, field)) is not None}
    fields = frozenset(fields_named(rule.when))
    if rule.function:
        function = _load(rule.function, config, name)
        return Rule(name, applies, _asking(f"{name}, {rule.function}", function, given, config, models), fields, None)
    try:
        filling = _checked(name, given, config, None)  # its models were checked with the config
    except InputError as error:
        raise ConfigError(error.message, hint=error.hint) from None
    looks_at = {*rule.when, *(("urgency",) if "urgency_up_to" in filling else ())}
    return Rule(name, applies, lambda patient: filling, fields, frozenset(looks_at))


def _asking(
    name: str, function: RuleFunction, given: Filling, config: Config, models: Collection[str] | None
) -> Callable[[Patient], Filling | None]:
    """A function's answer, laid over what the rule itself fills."""

    def ask(patient: Patient) -> Filling | None:
        task = f"the task {patient.key!r}" if patient.key else f"a task of type {patient.type}"
        try:
            said = function(patient)
        except Exception as error:
            raise InputError(
                f"{name} raised {type(error).__name__} for {task}: {error}",
                hint="mend the function, or take the rule out",
            ) from error
        if said is None:
            return None
        if not isinstance(said, Mapping):
            raise InputError(
                f"{name} returned {type(said).__name__} for {task}",
                hint='return what to fill, like {"lane": "legal"}, or None',
            )
        return _checked(name, {**given, **said}, config, models)

    return ask


def _checked(name: str, said: Filling, config: Config, models: Collection[str] | None) -> Filling:
    filling: dict[str, Any] = {}
    for field, value in said.items():
        if field not in MAY_SAY:
            raise InputError(f"{name} fills {field!r}", hint=f"a rule may fill {', '.join(MAY_SAY)}")
        if value is None:
            continue
        if field in ("urgency", "urgency_up_to"):
            filling[field] = _urgency(name, value, config)
        elif field == "fallbacks":
            if isinstance(value, str) or not all(isinstance(one, str) for one in value):
                raise InputError(f"{name}: fallbacks are a list of models' names", hint='write ["small"]')
            filling[field] = tuple(value)
        elif not isinstance(value, str) or not value.strip():
            raise InputError(f"{name}: {field} is {value!r}", hint=f"{field} is a name")
        else:
            filling[field] = value
    for model in (filling.get("model"), *filling.get("fallbacks", ())):
        if model is not None and models is not None and model not in models:
            raise InputError(f"{name}: there is no model {model!r}", hint=f"known models: {', '.join(models)}")
    if filling.get("complexity", "low") not in COMPLEXITIES:
        raise InputError(f"{name}: complexity is {filling['complexity']!r}", hint=f"one of {', '.join(COMPLEXITIES)}")
    return filling


def _urgency(name: str, value: Any, config: Config) -> Urgency:
    try:
        return value if isinstance(value, Urgency) else config.urgency_of(str(value))
    except ValueError as error:
        raise InputError(f"{name}: {error}", hint="or add the word to an urgency's aliases in laneway.toml") from None


def _load(reference: str, config: Config, place: str) -> RuleFunction:
    """A function by ``module:function``; modules beside the config are found as well."""
    hint = 'write function = "module:function", with module.py beside laneway.toml'
    function: RuleFunction = load_object(reference, config.folder, f"{place}: the function", hint)
    if not callable(function):
        raise ConfigError(f"{place}: {reference} is no function", hint=hint)
    _refuse_async(function, place)
    return function


def _refuse_async(function: RuleFunction, place: str) -> None:
    if inspect.iscoroutinefunction(function):
        raise ConfigError(
            f"{place}: a rule is an ordinary function, not an async one", hint="rules decide at once and call nobody"
        )
