"""What is in ``deploy/``: each command is one that Laneway has, each file is well-formed and fits the others."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from laneway.cli.main import command_line
from laneway.config.load import load

yaml: Any = pytest.importorskip("yaml")
ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
PROGRAM = "/srv/laneway/.venv/bin/laneway"


def check_keys(node: Any) -> None:
    """A key that comes twice is an error, not the last one's."""
    if node.id == "mapping":
        own = [key.value for key, _ in node.value]
        assert len(own) == len(set(own)), f"twice, in line {node.start_mark.line + 1}: {own}"
        for _, value in node.value:
            check_keys(value)
    elif node.id == "sequence":
        for value in node.value:
            check_keys(value)


def documents(path: Path) -> list[dict[str, Any]]:
    text = path.read_text()
    for node in yaml.compose_all(text, yaml.SafeLoader):
        check_keys(node)
    return [one for one in yaml.safe_load_all(text) if one]


def manifests() -> Iterator[dict[str, Any]]:
    for path in sorted((DEPLOY / "kubernetes").glob("*.yaml")):
        if path.name != "kustomization.yaml":
            yield from documents(path)


def of_kind(kind: str) -> list[dict[str, Any]]:
    return [one for one in manifests() if one["kind"] == kind]


def compose() -> dict[str, Any]:
    (found,) = documents(DEPLOY / "compose" / "compose.yaml")
    return found


def check_command(arguments: list[str]) -> None:
    """Raises click's UsageError for what Laneway does not take."""
    command: Any = typer.main.get_command(command_line(arguments[0]))
    while hasattr(command, "commands"):
        command, arguments = command.commands[arguments[0]], arguments[1:]
    with command.make_context("laneway", list(arguments)):
        pass


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.name)
def test_units_start_what_is_there(unit: Path) -> None:
    (line,) = re.findall(rf"^ExecStart={PROGRAM} (.+)$", unit.read_text(), re.MULTILINE)
    check_command(shlex.split(line))


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd-analyze")
def test_units_are_as_systemd_wants_them(tmp_path: Path) -> None:
    for unit in (DEPLOY / "systemd").iterdir():
        if unit.suffix in (".service", ".socket"):
            (tmp_path / unit.name).write_text(unit.read_text().replace(PROGRAM, "/bin/true"))
    files = [str(path) for path in sorted(tmp_path.iterdir())]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *files],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    about_ours = [line for line in done.stderr.splitlines() if "laneway" in line]
    assert about_ours == []


def test_images_are_made_of_what_is_there() -> None:
    text = (DEPLOY / "Containerfile").read_text()
    for line in re.findall(r"^COPY (?!--from)(.+) \S+$", text, re.MULTILINE):
        assert all((ROOT / source).exists() for source in line.split()), line
        ignored = (DEPLOY / "Containerfile.dockerignore").read_text().splitlines()
        assert all(f"!{source.removeprefix('./')}" in ignored for source in line.split()), line
    (extras,) = re.findall(r'"\.\[(.+)\]"', text)
    known = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert set(extras.split(",")) <= set(known)
    (command,) = re.findall(r"^CMD (\[.+\])$", text, re.MULTILINE)
    check_command(yaml.safe_load(command))


def test_compose_starts_what_is_there() -> None:
    services = compose()["services"]
    assert set(services) == {"postgres", "migrate", "server", "worker"}
    for name in ("migrate", "server", "worker"):
        check_command(services[name]["command"])
    for name in ("server", "worker"):
        assert services[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
    example = (DEPLOY / "compose" / ".env.example").read_text()
    named = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose" / "compose.yaml").read_text()))
    assert named == set(re.findall(r"^(\w+)=$", example, re.MULTILINE))


@pytest.mark.parametrize("place", ["compose", "kubernetes"])
def test_the_configs_are_sound(place: str) -> None:
    path = DEPLOY / place / "laneway.toml"
    assert load([path], env={}, cwd=path.parent).defaults.model == "small"


def test_manifests_fit_each_other() -> None:
    secret = {one["metadata"]["name"] for one in of_kind("Secret")}
    for workload in (*of_kind("Deployment"), *of_kind("Job")):
        pod = workload["spec"]["template"]
        (container,) = pod["spec"]["containers"]
        check_command(container["args"])
        assert {source["secretRef"]["name"] for source in container["envFrom"]} <= secret
        assert container["resources"]["limits"]["memory"]
        assert container["resources"]["requests"]["cpu"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True
    for workload in of_kind("Deployment"):
        pod = workload["spec"]["template"]
        (container,) = pod["spec"]["containers"]
        assert workload["spec"]["selector"]["matchLabels"] == pod["metadata"]["labels"]
        ports = {port["name"] for port in container["ports"]}
        paths = {}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            paths[probe] = container[probe]["httpGet"]["path"]
            assert container[probe]["httpGet"]["port"] in ports
        assert (paths["livenessProbe"], paths["readinessProbe"]) == ("/healthz", "/readyz")
    deployments = {one["metadata"]["name"]: one["spec"]["selector"]["matchLabels"] for one in of_kind("Deployment")}
    (autoscaler,) = of_kind("HorizontalPodAutoscaler")
    assert autoscaler["spec"]["scaleTargetRef"]["name"] in deployments
    for budget in of_kind("PodDisruptionBudget"):
        assert budget["spec"]["selector"]["matchLabels"] == deployments[budget["metadata"]["name"]]
    (service,) = of_kind("Service")
    assert service["spec"]["selector"] == deployments["laneway-server"]


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="no kubectl")
def test_the_kustomization_builds(tmp_path: Path) -> None:
    """Locally: no cluster is asked."""
    command = ["kubectl", "kustomize", str(DEPLOY / "kubernetes")]
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(tmp_path), "KUBECONFIG": "/dev/null"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=True)
    built = list(yaml.safe_load_all(done.stdout))
    assert {one["metadata"].get("namespace", "laneway") for one in built} == {"laneway"}
    assert "registry.example.com/laneway:" in done.stdout


def test_a_wrong_command_would_be_seen() -> None:
    with pytest.raises(Exception, match="No such option"):
        check_command(["worker", "--helth", "8081"])
