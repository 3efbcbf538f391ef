"""What a type asks of its answers, as the config says it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from laneway.config.load import load
from laneway.errors import ConfigError
from laneway.intake.prompts import PromptType

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
MODULE = """
from dataclasses import dataclass
from decimal import Decimal
from pydantic import BaseModel, field_validator

class Plain(BaseModel):
    total: Decimal
    tags: list[str] = []

class Strict(Plain):
    @field_validator("total")
    @classmethod
    def positive(cls, value):
        assert value > 0
        return value

@dataclass
class Point:
    x: int

class NoSchema:
    pass

def fine(answer): ...
async def late(answer): ...
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "schema.json").write_text(json.dumps(SCHEMA))
    (tmp_path / f"shapes_{tmp_path.name.replace('-', '_')}.py").write_text(MODULE)
    return tmp_path


def prompt_type(folder: Path, settings: str) -> PromptType:
    module = f"shapes_{folder.name.replace('-', '_')}"
    (folder / "laneway.toml").write_text(f"[types.t]\n{settings}".replace("shapes:", f"{module}:"))
    return PromptType(load(env={}, cwd=folder), "t")


def answer(content: str) -> bytes:
    return json.dumps({"choices": [{"message": {"content": content}}]}).encode()


def test_a_schema_file_and_checks_come_into_the_spec(folder: Path) -> None:
    made = prompt_type(
        folder,
        'output = "schema.json"\n[[types.t.checks]]\npattern = "a"\nmessage = "say a"\n'
        '[[types.t.checks]]\nschema = "schema.json"\n[[types.t.checks]]\nfunction = "shapes:fine"\n',
    )
    assert made.spec.output_schema == SCHEMA
    pattern, schema, function = made.spec.checks
    assert pattern == {"pattern": "a", "message": "say a"}
    assert schema == {"schema": SCHEMA}
    assert set(function) == {"function"}
    assert made.asked.decode(answer('Here: {"a": 1}')) == {"a": 1}


def test_a_pydantic_model_travels_as_its_schema(folder: Path) -> None:
    made = prompt_type(folder, 'output = "shapes:Plain"\n')
    assert made.spec.output_schema is not None
    assert set(made.spec.output_schema["properties"]) == {"total", "tags"}
    assert made.spec.checks == (), "a worker needs no code"
    value = made.asked.decode(answer('{"total": 1}'))
    assert type(value).__name__ == "Plain"
    assert value.tags == []


def test_a_model_with_validators_of_its_own_is_asked_as_well(folder: Path) -> None:
    (check,) = prompt_type(folder, 'output = "shapes:Strict"\n').spec.checks
    assert check["model"].endswith(":Strict")


def test_an_answer_to_an_earlier_question_is_said_to_be_one(folder: Path) -> None:
    for settings in ('output = "schema.json"\n', 'output = "shapes:Strict"\n'):
        with pytest.raises(ConfigError, match=r"not what \[types.t\] output asks for"):
            prompt_type(folder, settings).asked.decode(answer('{"total": -1}'))


def test_a_dataclass_will_do(folder: Path) -> None:
    made = prompt_type(folder, 'output = "shapes:Point"\n')
    assert made.asked.decode(answer('{"x": 1}')).x == 1


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ('output = "shapes:Gone"', "the model 'shapes_.*:Gone' cannot be loaded: AttributeError"),
        ('output = "shapes:NoSchema"', "has no JSON Schema"),
        ('output = "nowhere_at_all:X"', "ModuleNotFoundError"),
        ('output = "broken.json"', r"broken\.json: not JSON"),
        ('output = "list.json"', "a JSON Schema for answers is an object"),
        ('output = "remote.json"', "leads nowhere"),
        ('[[types.t.checks]]\nschema = "remote.json"', "leads nowhere"),
        ('[[types.t.checks]]\nfunction = "shapes:late"', "not an async one"),
        ('[[types.t.checks]]\nfunction = "shapes:MODULE"', "cannot be loaded"),
        ('[[types.t.checks]]\nfunction = "shapes:__doc__"', "is no function"),
    ],
)
def test_what_cannot_be_asked_is_a_fault_of_the_config(folder: Path, settings: str, said: str) -> None:
    (folder / "broken.json").write_text('{"a": ')
    (folder / "list.json").write_text("[]")
    (folder / "remote.json").write_text(json.dumps({"$ref": "https://example.com/s.json"}))
    with pytest.raises(ConfigError, match=said) as caught:
        prompt_type(folder, settings)
    assert caught.value.hint


def test_nothing_is_fetched(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_network(*_: Any, **__: Any) -> None:
        raise AssertionError("something was fetched")

    monkeypatch.setattr("urllib.request.urlopen", no_network)
    monkeypatch.setattr("socket.create_connection", no_network)
    (folder / "remote.json").write_text(json.dumps({"properties": {"a": {"$ref": "http://127.0.0.1:9/s.json"}}}))
    with pytest.raises(ConfigError, match="nothing is fetched"):
        prompt_type(folder, 'output = "remote.json"')
