"""An account's secrets, kept out of whatever its endpoint sends back: errors, headers, answers."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from laneway.logs import HIDDEN, Redactor, is_secret_name
from laneway.providers.presets import KEYS_OF_OTHERS, well_known_keys
from laneway.task import Failure

if TYPE_CHECKING:
    from laneway.config.models import Config

SURELY_A_KEY = 16  # characters; a shorter one may be a word of the answer ("ollama"), unless it is letters and digits
SHORTEST_KEY = 8


class Secrets:
    """``out_of…``: the same without the secrets. An endpoint that repeats a key must not bring it into the store."""

    def __init__(self, secrets: Collection[str]) -> None:
        self._redactor = Redactor(secrets)
        keys = [secret for secret in secrets if _is_a_key(secret)]
        forms = {form for key in keys for form in (key, _in_json(key), _in_json(_in_json(key)))}  # JSON in an answer
        self._forms = [form.encode() for form in sorted(forms, key=len, reverse=True)]

    def out_of_answer(self, answer: bytes) -> bytes:
        """A body as it was received; it stays the JSON that it was."""
        for form in self._forms:
            if form in answer:
                answer = answer.replace(form, HIDDEN.encode())
        return answer

    def out_of(self, failure: Failure) -> Failure:
        clean = self._redactor.clean
        return dataclasses.replace(failure, code=clean(failure.code), message=clean(failure.message))

    def out_of_text(self, text: str | None) -> str | None:
        return None if text is None else self._redactor.clean(text)


def _in_json(text: str) -> str:
    return json.dumps(text)[1:-1]


def _is_a_key(secret: str) -> bool:
    mixed = any(char.isdigit() for char in secret) and any(char.isalpha() for char in secret)
    return len(secret) >= SURELY_A_KEY or (len(secret) >= SHORTEST_KEY and mixed)


def secret_headers(headers: Mapping[str, str]) -> set[str]:
    """The values of headers that are named like secrets."""
    return {value for name, value in headers.items() if is_secret_name(name) for value in (value, value.split(" ")[-1])}


def known_secrets(env: Mapping[str, str], config: Config | None = None) -> set[str]:
    """The values of all variables that hold keys: the providers' own, ours, and those that the config's accounts
    name."""
    names = {*well_known_keys(), *KEYS_OF_OTHERS, "LANEWAY_TOKEN"}
    several = "LANEWAY_WEBHOOK_SECRET"
    if config is not None:
        names |= {account.api_key_env for account in config.accounts.values() if account.api_key_env}
        several = config.server.webhook_secret_env
    return {value for name in names if (value := env.get(name, "").strip())} | set(env.get(several, "").split())
