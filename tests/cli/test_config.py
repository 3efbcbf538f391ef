"""`laneway config`: what is in force, where it comes from, and nothing secret in it."""

from __future__ import annotations

import tomllib

from laneway.config.load import load
from tests.conftest import Desk

KEY = "canary-1234567890abcdef"
CONFIG = f"""\
app = "tasks:lw"
[accounts.main]
provider = "openai"
base_url = "https://host.example/v1"
api_key_env = "MY_KEY"
headers = {{ "X-Team" = "{KEY}", "OpenAI-Organization" = "org-7" }}
[models.small]
account = "main"
id = "gpt-4o-mini"
timeout = "90s"
params = {{ temperature = 0, metadata = {{ api_key = "{KEY}" }} }}
[retry]
delays = ["10s", "500ms"]
[[rules]]
when = {{ tokens = ">8000" }}
lane = "long"
"""
MORE = """\
[models.small]
id = "gpt-4.1-mini"

[[rules]]
name = "second"
when = {}
lane = "rest"
"""


def test_what_is_shown_loads_to_the_same_settings(bare: Desk) -> None:
    bare.write("laneway.toml", CONFIG.replace(KEY, "words").replace("api_key =", "note ="))
    shown = bare.run("config", "show")
    assert shown.code == 0
    again = bare.write("again.toml", shown.out.replace('"[hidden]"', '"words"'))
    first, second = (load([bare.folder / name], env={}, cwd=bare.folder) for name in ("laneway.toml", again.name))
    assert first.model_dump() == second.model_dump()


def test_each_value_says_where_it_comes_from(bare: Desk) -> None:
    bare.write("laneway.toml", CONFIG)
    bare.write("more.toml", MORE)
    bare.env["LANEWAY_ACCOUNTS__MAIN__CONCURRENCY"] = "7"
    both = ("--config", "laneway.toml", "--config", "more.toml")
    lines = {
        name.strip(): value.strip()
        for line in bare.run("config", "show", "--origin", *both).out.splitlines()
        for name, _, value in [line.rpartition("  # ")]
    }
    assert lines["concurrency = 7"] == "LANEWAY_ACCOUNTS__MAIN__CONCURRENCY"
    assert lines['id = "gpt-4.1-mini"'] == "more.toml:2"
    assert lines['timeout = "90s"'] == "laneway.toml:10"
    assert lines['lane = "long"'] == "laneway.toml:16"
    assert lines['lane = "rest"'] == "more.toml:7"
    every = bare.run("config", "show", "--origin", "--all", *both).out
    assert "weight = 1" in every
    assert "# default" in every
    told = bare.run("config", "show", "--json", *both).json
    assert told["origin"]["rules[2].lane"] == "more.toml:7"
    assert told["config"]["rules"][1]["lane"] == "rest"
    assert told["config"]["retry"]["delays"] == ["10s", "500ms"]


def test_no_secret_is_in_it(bare: Desk) -> None:
    bare.write("laneway.toml", CONFIG)
    bare.env["MY_KEY"] = KEY
    for arguments in ([], ["--origin"], ["--all"], ["--json"]):
        shown = bare.run("config", "show", *arguments)
        assert shown.code == 0
        assert KEY not in shown.out + shown.err
    assert "org-7" in shown.out
    tomllib.loads(bare.run("config", "show", "--all").out)


def test_check_and_path(bare: Desk) -> None:
    assert bare.run("config", "path", "--json").json == {"files": []}
    path = bare.write("laneway.toml", '[types.a]\nprompt = "p.j2"\n')
    assert bare.run("config", "path").out == f"{path}\n"
    bare.write("p.j2", "{% for %}")
    done = bare.run("config", "check", "--json")
    assert done.code == 2
    assert "p.j2, line 1" in done.json["error"]["message"]
    bare.write("p.j2", "{{ text }}")
    assert bare.run("config", "check").out == f"{path}: sound\n"
    bare.write("laneway.toml", '[accounts.a]\nprovider = "opnai"\n')
    done = bare.run("config", "check")
    assert (done.code, "did you mean 'openai'?" in done.err) == (2, True)


def test_without_a_config_nothing_is_set(bare: Desk) -> None:
    done = bare.run("config", "show")
    assert (done.code, done.out) == (0, "")
    assert "laneway init" in done.err
