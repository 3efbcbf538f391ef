"""What is said of a config that cannot be right: where it stands, what is wrong, what was probably meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from laneway.config.load import load
from laneway.errors import ConfigError

from .conftest import Load
from .example import GOOD


@pytest.mark.parametrize(
    ("change", "line", "said"),
    [
        (("concurrency = 20", "concurency = 20"), 6, "there is no such setting; did you mean 'concurrency'?"),
        (("concurrency = 20", "concurrency = true"), 6, "a number, not true"),
        (("concurrency = 20", "requests_per_minute = inf"), 6, "finite"),
        (("concurrency = 20", 'api_key = "sk-canary-1"'), 6, "keys do not belong in the config"),
        (('"SHOP_KEY"', '"sk-canary-1"'), 5, "no name of an environment variable"),
        (('account = "main"', 'account = "mian"'), 9, "there is no account 'mian'; did you mean 'main'?"),
        (('account = "main"', ""), 8, "give either account"),
        (('timeout = "2m"', 'timeout = "soon"'), 11, "not a duration"),
        (('timeout = "2m"', "timeout = 0"), 11, "more than 0"),
        (('accounts = ["main"]', 'accounts = ["main", "spare"]'), 14, "there is no account 'spare'; known: main"),
        (("[lanes.legal]", "[lane.legal]"), 17, "did you mean 'lanes'"),
        (("[urgency.urgent]", "[urgency.urgnt]"), 20, "did you mean 'urgent'"),
        (("[urgency.urgent]", "[urgency.URGENT]"), 20, "lower case"),
        (('aliases = ["high", "P1"]', 'aliases = ["relaxed"]'), 22, "'relaxed' already means relaxed"),
        (('lane = "legal"', 'urgency = "hihg"'), 27, "relaxed (and by alias: high, P1)"),
        (('lane = "legal"', 'complexity = "huge"'), 27, 'this must be "low", "medium" or "high"'),
        (('lane = "legal"', ""), 24, "it fills nothing"),
        (('when = { text = "/attorney/" }', ""), 24, "give it `when` or `function`"),
        (('model = "small"', 'model = "gpt-4o-mini"'), 30, "write 'small'"),
        (('model = "small"', 'type = "letter"'), 30, "there is no type 'letter'"),
        (('model = "small"', 'fallbacks = ["small"]'), 30, "fallbacks belong to a model"),
        (('model = "small"', '[types.a]\nprompt = "p/none.j2"'), 31, "p/none.j2"),
        (('model = "small"', '[triage]\nanswers = "t/none.npz"'), 31, "t/none.npz"),
        (('model = "small"', "[types.a]\nescalate = true"), 31, "nothing judges answers"),
        (("[accounts.main]", 'folder = "x"\n[accounts.main]'), 2, "there is no such setting"),
    ],
)
def test_a_fault_is_told_with_file_and_line(
    read: Load, tmp_path: Path, change: tuple[str, str], line: int, said: str
) -> None:
    assert change[0] in GOOD
    with pytest.raises(ConfigError) as caught:
        read(GOOD.replace(*change, 1))
    message = caught.value.message
    assert message.startswith(f"{tmp_path / 'laneway.toml'}: ")
    assert f" (line {line}): " in message
    assert said in message
    assert "canary" not in message
    assert caught.value.hint


def test_all_faults_are_told_at_once(read: Load) -> None:
    text = GOOD.replace("concurrency = 20", "concurency = 20").replace('"2m"', '"soon"')
    with pytest.raises(ConfigError) as caught:
        read(text, {"LANEWAY_X__Y": "1"})
    assert caught.value.message.startswith("3 faults in the config:\n")
    assert all(part in caught.value.message for part in ("(line 6)", "(line 11)", "LANEWAY_X__Y"))


def test_very_many_faults_are_counted(read: Load) -> None:
    with pytest.raises(ConfigError, match="… and 80 more"):
        read("\n".join(f"[nothing{n}]" for n in range(100)))


def test_a_rule_is_blamed_on_its_own_file(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(GOOD)
    (tmp_path / "b.toml").write_text('\n[[rules]]\nwhen = {}\nmodel = "smal"\n')
    with pytest.raises(ConfigError, match=r"b\.toml: rules\[2\]\.model \(line 4\): .*did you mean 'small'\?$"):
        load([Path("a.toml"), Path("b.toml")], env={}, cwd=tmp_path)


def test_an_alias_with_two_meanings_is_refused(read: Load) -> None:
    with pytest.raises(ConfigError, match="'HIGH' already means urgent"):
        read(GOOD + '[urgency.relaxed]\naliases = ["HIGH"]\n')


def test_without_models_any_id_may_be_named(read: Load) -> None:
    assert read('[defaults]\nmodel = "gpt-4o-mini"\n').defaults.model == "gpt-4o-mini"


TYPES = """
[types.legal]
output = "models:Verdict"
[[types.legal.checks]]
pattern = "\\\\bok\\\\b"
message = "say ok"

[[types.legal.checks]]
function = "checks:no_promises"
"""


@pytest.mark.parametrize(
    ("change", "line", "said"),
    [
        (("message =", "mesage ="), 6, "there is no such setting; did you mean 'message'?"),
        (("pattern =", "shema ="), 5, "did you mean 'schema'?"),
        (("function =", "pattern = 'x'\nfunction ="), 8, "give one of pattern"),
        (("\\\\bok", "(ok"), 5, "unclosed group"),
        (("\\\\bok", "(?!no)ok"), 5, "look-around"),
        (("checks:no_promises", "no_promises"), 9, 'this must be "module:function"'),
        (("models:Verdict", "models.json"), 3, "there is no file"),
        (('function = "checks:no_promises"', 'schema = "gone.json"'), 9, "gone.json"),
    ],
)
def test_a_faulty_check_is_told_with_its_line(read: Load, change: tuple[str, str], line: int, said: str) -> None:
    assert change[0] in TYPES
    assert read(TYPES).types["legal"].checks[1].function == "checks:no_promises"
    with pytest.raises(ConfigError) as caught:
        read(TYPES.replace(*change, 1))
    assert f"(line {line}): " in caught.value.message
    assert said in caught.value.message


def test_a_checks_schema_starts_at_its_own_file(tmp_path: Path) -> None:
    (tmp_path / "types").mkdir()
    (tmp_path / "types" / "s.json").write_text("{}")
    (tmp_path / "types" / "t.toml").write_text('[types.t]\noutput = "m:M"\nchecks = [{ schema = "s.json" }]\n')
    (tmp_path / "laneway.toml").write_text("")
    config = load([Path("types/t.toml"), Path("laneway.toml")], env={}, cwd=tmp_path)
    assert config.types["t"].checks[0].schema_ == tmp_path / "types" / "s.json"
    assert str(config.types["t"].output) == "m:M"
