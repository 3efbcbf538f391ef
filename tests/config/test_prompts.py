"""Prompts from records: what is filled in, what is a fault, what is out of bounds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laneway.config import templates as module
from laneway.config.templates import Template, TemplateFault, Templates
from laneway.errors import ConfigError


def compiled(text: str, folder: Path = Path()) -> Template:
    return Templates(folder).from_text("legal.j2", text)


@pytest.mark.parametrize(
    ("text", "record", "prompt"),
    [
        ("Dear {{ name }}!\n", {"name": "A & <B>"}, "Dear A & <B>!"),  # a prompt is no HTML
        ("{{ order.items }}", {"order": {"items": 3}}, "3"),  # the record's, not dict.items
        ("{{ note }}|{{ lines }}", {"note": None, "lines": ["a", 1]}, '|["a",1]'),
        ('{{ record["Customer name"] }}', {"Customer name": "Jo"}, "Jo"),
        ("{{ record }}", {"record": "own"}, "own"),
        ("{{ extra | default('none') }}", {}, "none"),
        ("{% for x in xs %}{{ x }};{% endfor %}", {"xs": [1, 2]}, "1;2;"),
    ],
)
def test_rendering(text: str, record: dict[str, Any], prompt: str) -> None:
    assert compiled(text).render(record) == prompt


@pytest.mark.parametrize(
    ("text", "record", "said"),
    [
        ("{{ foo }}", {"a": 1, "b": 2, "c": 3}, "legal.j2: the prompt asks for {{ foo }}, this record has: a, b, c"),
        ("{% if foo %}x{% endif %}", {}, "the prompt asks for {{ foo }}, this record has: nothing"),
        ("{{ a.tier }}", {"a": {}}, "the prompt asks for 'tier' inside a field where there is none"),
        ("{{ foo }}", dict.fromkeys("abcdefghijklmno", 1), "and 3 more"),
        ("{{ 1 / zero }}", {"zero": 0}, "division by zero"),
        ("{{ ''.__class__ }}", {}, "unsafe"),
        ("{{ 'x' * 99999999999 }}", {}, "too large"),
        ("{{ 9 ** (9 ** 9) }}", {}, "too large"),
    ],
)
def test_faults_of_a_record(text: str, record: dict[str, Any], said: str) -> None:
    with pytest.raises(TemplateFault) as caught:
        compiled(text).render(record)
    assert said in str(caught.value)


def test_a_prompt_has_a_longest_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LARGEST_PROMPT", 1000)
    template = compiled("{% for i in range(n) %}0123456789{% endfor %}")
    assert len(template.render({"n": 100})) == 1000
    with pytest.raises(TemplateFault, match="longer than 1,000 characters"):
        template.render({"n": 101})


def test_a_value_without_a_text_is_a_fault() -> None:
    class Odd:
        def __str__(self) -> str:
            raise RuntimeError("no text")

    with pytest.raises(TemplateFault, match="no text"):
        compiled("{{ odd }}").render({"odd": Odd()})


def test_a_mistake_is_told_with_file_and_line(tmp_path: Path) -> None:
    (tmp_path / "bad.j2").write_text("one\ntwo {% if %}\n")
    (tmp_path / "main.j2").write_text("{% include 'bad.j2' %}")
    for name in ("bad.j2", "main.j2"):
        with pytest.raises(ConfigError, match=r"bad\.j2, line 2: Expected an expression"):
            Templates(tmp_path).load(Path(name))


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (None, "there is no template"),
        (b"\xff", "not UTF-8"),
        (b"{{ x | nope }}", "line 1: No filter named 'nope'"),
        (b"{% include '../outside.j2' %}", "which is not in"),
        (b"{% include '/etc/hostname' %}", "which is not in"),
        (b"x" * 2_000_001, "larger than"),
    ],
)
def test_unusable_templates(tmp_path: Path, raw: bytes | None, said: str) -> None:
    folder = tmp_path / "config"
    folder.mkdir()
    (tmp_path / "outside.j2").write_text("outside")
    if raw is not None:
        (folder / "x.j2").write_bytes(raw)
    with pytest.raises(ConfigError, match=said):
        Templates(folder).load(Path("x.j2"))


def test_includes_and_one_compilation(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "rules.j2").write_text("Be brief, {{ name }}.")
    (tmp_path / "x.j2").write_text("{% include 'parts/rules.j2' %}")
    folder = Templates(tmp_path)
    template = folder.load(Path("x.j2"))
    assert template.render({"name": "Jo"}) == "Be brief, Jo."
    assert folder.load(tmp_path / "x.j2") is template


whole = st.integers(-(2**63), 2**63 - 1)  # beyond that the reader makes floats
values = st.none() | st.booleans() | st.text() | st.lists(whole)


@given(st.dictionaries(st.text(max_size=4), values, max_size=5))
def test_any_record_with_the_field_renders_and_any_other_is_a_fault(record: dict[str, Any]) -> None:
    template = compiled("{{ a }} {{ record }}")
    if "a" in record:
        assert isinstance(template.render(record), str)
    else:
        with pytest.raises(TemplateFault, match=r"\{\{ a \}\}"):
            template.render(record)
