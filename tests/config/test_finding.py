"""Which files are read, and how several of them become one config."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from laneway.config.load import load, namespace
from laneway.errors import ConfigError
from laneway.task import Urgency

from .conftest import Load
from .example import GOOD


def test_nothing_found_is_an_empty_config_for_the_current_folder(tmp_path: Path) -> None:
    config = load(env={}, cwd=tmp_path)
    assert (config.folder, config.sources, dict(config.origin)) == (tmp_path, (), {})
    assert config.defaults.lane == "general"


def test_it_is_found_in_a_folder_above(read: Load, tmp_path: Path) -> None:
    read(GOOD)
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    config = load(env={}, cwd=below)
    assert (config.folder, config.sources) == (tmp_path, (tmp_path / "laneway.toml",))


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are POSIX's")
def test_a_folder_above_that_anybody_may_write_to_is_passed_over(read: Load, tmp_path: Path) -> None:
    read(GOOD)
    below = tmp_path / "mine"
    below.mkdir()
    tmp_path.chmod(0o777)
    assert load(env={}, cwd=below).sources == ()
    assert load(env={}, cwd=tmp_path).sources == (tmp_path / "laneway.toml",)


def test_given_paths_come_before_the_variable_and_that_before_the_folder(read: Load, tmp_path: Path) -> None:
    read(GOOD)
    for name in ("given", "variable"):
        (tmp_path / f"{name}.toml").write_text(f'[defaults]\nlane = "{name}"\n')
    env = {"LANEWAY_CONFIG": "variable.toml"}
    assert load([Path("given.toml")], env=env, cwd=tmp_path).defaults.lane == "given"
    assert load(env=env, cwd=tmp_path).defaults.lane == "variable"
    assert load(env={"LANEWAY_CONFIG": ""}, cwd=tmp_path).defaults.lane == "general"


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (None, r"there is no config at .*laneway\.toml"),
        (b"a = [1,\n", r"laneway\.toml: not valid TOML"),
        (b"a = '\xff'", "not UTF-8"),
        (b"#" * 4_000_001, "larger than"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, raw: bytes | None, said: str) -> None:
    if raw is not None:
        (tmp_path / "laneway.toml").write_bytes(raw)
    with pytest.raises(ConfigError, match=said) as caught:
        load([Path("laneway.toml")], env={}, cwd=tmp_path)
    assert caught.value.hint


def test_a_byte_order_mark_and_windows_line_ends_are_taken(tmp_path: Path) -> None:
    (tmp_path / "laneway.toml").write_bytes(b'\xef\xbb\xbf[defaults]\r\nlane = "x"\r\n')
    assert load(env={}, cwd=tmp_path).defaults.lane == "x"


def test_later_files_win_and_rules_follow_each_other(tmp_path: Path) -> None:
    base, own = tmp_path / "base.toml", tmp_path / "sub" / "own.toml"
    own.parent.mkdir()
    (tmp_path / "p.j2").write_text("hello")
    base.write_text(GOOD + '[types.letter]\nprompt = "p.j2"\n')
    own.write_text(
        '[accounts.main]\nconcurrency = 3\n[models.small]\naccounts = ["main"]\n'
        '[[rules]]\nwhen = {}\ncategory = "rest"\n'
    )
    config = load([base, own], env={}, cwd=tmp_path)
    assert config.accounts["main"].concurrency == 3
    assert config.accounts["main"].base_url == "http://127.0.0.1:8090/v1"
    assert config.models["small"].account_names == ("main",)  # the later spelling took the earlier's place
    assert [rule.name or rule.category for rule in config.rules] == ["attorneys", "rest"]
    assert config.folder == own.parent
    assert config.types["letter"].prompt == tmp_path / "p.j2"  # a path starts at its own file
    assert config.origin["accounts.main.concurrency"] == str(own)
    assert config.origin["accounts.main.base_url"] == str(base)
    assert (config.origin["rules[1].name"], config.origin["rules[2].category"]) == (str(base), str(own))


def test_urgency_words(read: Load) -> None:
    config = read(GOOD)
    assert config.urgency_of(" p1 ") is config.urgency_of("URGENT") is Urgency.URGENT
    assert (config.target_wait(Urgency.URGENT), config.target_wait(Urgency.IMMEDIATE)) == (60, 0)


def test_a_namespace_is_the_folder_s_whatever_way_leads_there(read: Load, tmp_path: Path) -> None:
    one = namespace(read(GOOD))
    (tmp_path / "sub").mkdir()
    assert one == namespace(load([Path("../laneway.toml")], env={}, cwd=tmp_path / "sub"))
    (tmp_path / "sub" / "laneway.toml").write_text(GOOD)
    assert one != namespace(load(env={}, cwd=tmp_path / "sub"))
    assert one.startswith(tmp_path.name)


def test_loading_imports_nothing_heavy() -> None:
    code = (
        "import sys; import laneway.config.load, laneway.triage.pipeline, laneway.config.templates, laneway.logs;"
        "print([m for m in ('jinja2', 'jsonschema', 'aiohttp', 'genai_prices', 'apsw', 'rich') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
