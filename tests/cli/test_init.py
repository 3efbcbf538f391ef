"""`laneway init` writes what really runs, keeps what is there, and writes no key."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from laneway.config.load import load
from laneway.simulator.process import SimulatorProcess
from tests.conftest import Desk

Simulate = Callable[..., SimulatorProcess]
CLAIMS = "claim_id,Customer name,description,urgency,type\n" + "".join(
    f'{n},Ada,"car, broken {n}",{"High" if n % 2 else "medium"},collision\n' for n in range(12)
)


def as_printed(desk: Desk, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, shell=True, cwd=desk.folder, env=desk.env, capture_output=True, text=True, timeout=60, check=False
    )


def contents(folder: Path) -> str:
    return "".join(path.read_text() for path in folder.rglob("*") if path.is_file())


def test_with_nothing_at_all_the_printed_commands_work(bare: Desk) -> None:
    done = bare.run("init", "--json")
    assert done.code == 0
    assert done.json["practice"]
    assert done.json["written"] == ["laneway.toml", "examples.csv", "prompts/examples.j2"]
    simulator, *runs = [step["command"] for step in done.json["next"]]
    assert " simulator" in simulator
    provider = subprocess.Popen(
        ["/bin/sh", "-c", f"exec {simulator}"], cwd=bare.folder, env=bare.env, stdout=subprocess.PIPE, text=True
    )
    try:
        assert provider.stdout is not None
        assert "ready at" in provider.stdout.readline()
        for command in runs:
            ran = as_printed(bare, command)
            assert ran.returncode == 0, ran.stderr
            assert "3 of 3 tasks succeeded" in ran.stderr
            assert "$0.00" in ran.stderr
    finally:
        provider.terminate()
        provider.communicate()


def test_a_folder_with_a_pdf_runs_on_the_practice_provider(bare: Desk, simulate: Simulate) -> None:
    from pypdf import PdfWriter

    simulator = simulate()
    (bare.folder / "claims").mkdir()
    pages = PdfWriter()
    pages.add_blank_page(300, 300)  # a scan: no text could be taken out of it
    pages.write(bare.folder / "claims" / "scan.pdf")
    assert bare.run("init", "claims").code == 0
    bare.env["LANEWAY_ACCOUNTS__PRACTICE__BASE_URL"] = simulator.url
    assert bare.run("run", "claims", "--type", "claims").code == 0


def test_a_table_becomes_a_type_whose_prompt_fits_its_columns(bare: Desk, simulate: Simulate) -> None:
    simulate()
    bare.env["OPENAI_API_KEY"] = "sk-canary-0001"
    bare.write("Claims 2026.csv", CLAIMS)
    done = bare.run("init", "Claims 2026.csv", "--json")
    assert done.json["written"] == ["laneway.toml", "prompts/claims_2026.j2"]
    config = load(env={}, cwd=bare.folder)
    assert config.models["small"].id == "gpt-6-luna"
    assert config.urgency["urgent"].aliases == ["high"]
    assert "canary" not in contents(bare.folder)
    for step in done.json["next"]:
        ran = as_printed(bare, step["command"]) if " doctor" not in step["command"] else None
        assert ran is None or ran.returncode == 0, ran.stderr
    assert len((bare.folder / "Claims 2026.results.jsonl").read_text().splitlines()) == 12


def test_two_keys_make_two_accounts_and_fallbacks_across(bare: Desk, simulate: Simulate) -> None:
    anthropic = SimulatorProcess(latency=0.0, output_tokens=10)
    simulate(error_rate=1.0)
    with anthropic:
        bare.env |= {"OPENAI_API_KEY": "sk-a", "ANTHROPIC_API_KEY": "sk-b", "ANTHROPIC_BASE_URL": anthropic.url}
        bare.write("claims.csv", CLAIMS)
        assert bare.run("init").code == 0
        config = load(env={}, cwd=bare.folder)
        assert list(config.accounts) == ["openai", "anthropic"]
        assert list(config.models) == ["small", "strong", "small_anthropic", "strong_anthropic"]
        assert config.defaults.fallbacks == ["small_anthropic"]
        ran = bare.run("run", "claims.csv", "--type", "claims", "--model", "strong_anthropic", "--limit", "2", "--json")
    assert ran.code == 0
    assert list(ran.json["by_model"]) == ["strong_anthropic"]
    assert ran.json["cost_usd"] > 0


def test_what_is_there_stays(bare: Desk) -> None:
    bare.write("claims.csv", CLAIMS)
    own = '[accounts.main]\nprovider = "vllm"\n[models.mine]\naccount = "main"\nid = "m"\n[defaults]\nmodel = "mine"\n'
    bare.write("laneway.toml", own)
    bare.write("prompts/claims.j2", "mine {{ description }}")
    done = bare.run("init", "--json")
    assert done.json["kept"] == ["laneway.toml", "prompts/claims.j2"]
    assert done.json["written"] == []
    assert (bare.folder / "laneway.toml").read_text() == own
    assert any("claims.csv --prompt prompts/claims.j2" in step["command"] for step in done.json["next"])
    forced = bare.run("init", "--force", "--json")
    assert forced.json["written"] == ["laneway.toml", "prompts/claims.j2"]
    assert "mine" not in contents(bare.folder)


def test_a_config_above_is_used_not_hidden_by_a_new_one(bare: Desk) -> None:
    bare.write("laneway.toml", "")
    bare.folder.joinpath("sub").mkdir()
    bare.folder /= "sub"
    bare.write("claims.csv", CLAIMS)
    done = bare.run("init", "--json")
    assert done.json["kept"] == [str(bare.folder.parent / "laneway.toml")]
    assert done.json["written"] == ["prompts/claims.j2"]


def test_a_local_server_is_asked_for_its_models(bare: Desk) -> None:
    models = bare.write(
        "models.json", json.dumps({name: {"latency": 0} for name in ("qwen3:8b", "llama:70b", "embed:1b")})
    )
    bare.write("claims.csv", CLAIMS)
    with SimulatorProcess(models=models, latency=0.0) as server:
        bare.env["OLLAMA_BASE_URL"] = server.url
        assert bare.run("init", "claims.csv").code == 0
        config = load(env={}, cwd=bare.folder)
        assert (config.models["small"].id, config.models["strong"].id) == ("qwen3:8b", "llama:70b")
        ran = bare.run("run", "claims.csv", "--type", "claims", "--json")
    assert ran.code == 0
    assert ran.json["cost_usd"] == 0


def test_a_batch_file_needs_no_prompt_but_the_models_it_names(bare: Desk, simulate: Simulate) -> None:
    simulate()
    bare.env["OPENAI_API_KEY"] = "sk-a"
    bare.batch("tasks.jsonl", 3, model="gpt-4.1-nano")
    done = bare.run("init", "--json")
    assert done.json["written"] == ["laneway.toml"]
    assert as_printed(bare, done.json["next"][-1]["command"]).returncode == 0
    assert bare.rows("tasks.results.jsonl")[0]["response"]["status_code"] == 200


def test_a_batch_file_for_a_provider_without_a_key_goes_through_triage(bare: Desk) -> None:
    bare.env["ANTHROPIC_API_KEY"] = "sk-b"
    bare.batch("tasks.jsonl", 3)
    said = bare.run("init")
    assert "tasks.jsonl --triage" in said.out
    assert "no key for gpt-4o-mini" in said.out


@pytest.mark.parametrize(("name", "text"), [("nothing.csv", None), ("empty.csv", ""), ("strange.bin", "\x00\x01")])
def test_what_is_no_data_is_said(bare: Desk, name: str, text: str | None) -> None:
    if text is not None:
        bare.write(name, text)
    done = bare.run("init", name, "--json")
    assert done.code == 2
    assert done.json["error"]["kind"] == "input"
    assert done.json["error"]["hint"]
    assert not (bare.folder / "laneway.toml").exists()
