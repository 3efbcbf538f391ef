"""What model files of labels do to a route: seen by rules, filled where open, bounded, explained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from laneway.config.models import Config
from laneway.errors import ConfigError
from laneway.learning.examples import Examples
from laneway.learning.labels import train
from laneway.task import Urgency
from laneway.triage.learned.files import save
from laneway.triage.patient import Patient, Pins
from laneway.triage.pipeline import Triage, explain
from laneway.triage.urgency import by_text
from tests.learning.letters import PRESSING, TOPICS, letters

PARCEL, UNKNOWN = "the courier has lost my parcel, tracking says nothing", "zzz"
PRESSING_NOW = "deadline today, legal action, production is down, patient waits"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files")
    for about, of in (("category", TOPICS), ("urgency", PRESSING)):
        rows = letters(300, of=of)
        examples = Examples(about, [text for text, _ in rows], [label for _, label in rows], [*of], {})
        train(examples).write(folder / f"{about}.npz")
    return folder


def triage(folder: Path, *about: str, rules: list[dict[str, Any]] | None = None, **settings: Any) -> Triage:
    settings = {
        "accounts": {"main": {}},
        "models": {name: {"account": "main", "id": name} for name in ("small", "strong")},
        "defaults": {"model": "small", **settings.pop("defaults", {})},
        "triage": {name: f"{name}.npz" for name in about},
        "rules": rules or [],
        **settings,
    }
    return Triage(Config.model_validate(settings).model_copy(update={"folder": folder}))


def patient(text: str, **more: Any) -> Patient:
    return Patient(type="letter", text=text, input_tokens=10, **more)


def test_a_category_is_found_with_its_reason(files: Path) -> None:
    nurse = triage(files, "category")
    route = nurse.assess(patient(PARCEL))
    assert route.category == "delivery"
    assert route.confidence is not None
    assert route.confidence > 0.5
    reason = route.reasons["category"]
    assert nurse.nurse is not None
    assert "learnt (category " in reason
    assert any(word in reason for word in ("courier", "parcel", "tracking"))
    assert f"confidence: {route.confidence:.2f}" in explain(route)


def test_where_it_abstains_nothing_is_filled(files: Path) -> None:
    route = triage(files, "category", "urgency").assess(patient(UNKNOWN))
    assert (route.category, route.confidence) == (None, None)
    assert route.reasons["urgency"] == "[defaults]"


def test_rules_see_what_was_found_and_go_before_it(files: Path) -> None:
    rules = [
        {"when": {"category": "delivery"}, "lane": "vans", "model": "strong"},
        {"when": {"type": "claim"}, "category": "claims"},
    ]
    nurse = triage(files, "category", rules=rules)
    seen = nurse.assess(patient(PARCEL))
    assert (seen.lane, seen.model, seen.category) == ("vans", "strong", "delivery")
    said = nurse.assess(Patient("claim", PARCEL, 10))
    assert said.category == "claims"
    assert said.reasons["category"] == "rule 2"
    assert said.confidence is None, "nothing learnt was used"


@pytest.mark.parametrize(
    ("default", "up_to", "urgency"),
    [
        ("relaxed", None, Urgency.STANDARD),
        ("standard", None, Urgency.URGENT),
        ("urgent", None, Urgency.URGENT),
        ("immediate", None, Urgency.URGENT),  # what it says, since it may go down
        ("relaxed", "urgent", Urgency.URGENT),
        ("relaxed", "relaxed", Urgency.RELAXED),
        ("standard", "immediate", Urgency.URGENT),
    ],
)
def test_a_text_raises_urgency_by_one_class_unless_a_rule_allows_more(
    files: Path, default: str, up_to: str | None, urgency: Urgency
) -> None:
    rules = [{"when": {"tags": "vip"}, "urgency_up_to": up_to}] if up_to else []
    route = triage(files, "urgency", rules=rules, defaults={"urgency": default}).assess(
        patient(PRESSING_NOW, tags=("vip",))
    )
    assert route.urgency is urgency
    assert "learnt (urgency" in route.reasons["urgency"]


def test_what_a_rule_allows_is_seen_by_the_rules_behind_it(files: Path) -> None:
    rules = [
        {"when": {"urgency": "urgent"}, "category": "too early"},
        {"when": {"tags": "vip"}, "urgency_up_to": "urgent"},
        {"when": {"urgency": "urgent"}, "lane": "fast"},
    ]
    nurse = triage(files, "urgency", rules=rules, defaults={"urgency": "relaxed"})
    vip, other = (nurse.assess(patient(PRESSING_NOW, tags=tags)) for tags in (("vip",), ()))
    assert (vip.lane, vip.category, vip.urgency) == ("fast", None, Urgency.URGENT)
    assert (other.lane, other.urgency) == ("general", Urgency.STANDARD)
    assert "a text alone raises by one class" in other.reasons["urgency"]
    assert "urgency" in nurse.looked_at


def test_the_classifier_is_bound_in_the_same_way(files: Path) -> None:
    rules = [{"when": {"tags": "vip"}, "urgency_up_to": "immediate"}]
    nurse = triage(files, rules=rules)
    for tags, urgency in (((), Urgency.URGENT), (("vip",), Urgency.IMMEDIATE)):
        assert nurse.assess(patient("x", tags=tags, said={"urgency": "immediate"})).urgency is urgency
    assert nurse.assess(patient("x", said={"urgency": "relaxed"})).urgency is Urgency.STANDARD, "it never lowers"


def test_pins_and_tasks_in_python_are_left_alone(files: Path) -> None:
    nurse = triage(files, "category", "urgency")
    pinned = nurse.assess(patient(PRESSING_NOW, pins=Pins(urgency=Urgency.RELAXED)))
    assert pinned.reasons["urgency"].startswith("pinned")
    assert nurse.assess(Patient("job", PARCEL, 0, needs_model=False)).category is None


def test_many_at_once_are_found_the_same_as_one_by_one(files: Path) -> None:
    nurse = triage(files, "category", "urgency")
    texts = [text for text, _ in letters(150)] + [UNKNOWN, "", PRESSING_NOW]
    together = nurse.assess_many([patient(text) for text in texts])
    assert together == [nurse.assess(patient(text)) for text in texts]


def test_reasons_are_coarse_so_that_equal_routes_are_one_object(files: Path) -> None:
    routes = triage(files, "category").assess_many([patient(text) for text, _ in letters(900, seed=5)])
    assert len({id(route) for route in routes}) < 200


def test_labels_that_no_such_field_has_are_refused(files: Path) -> None:
    assert by_text(Urgency.STANDARD, Urgency.RELAXED) is Urgency.RELAXED
    for content in (b"", b"PK\x03\x04 not really", b"\0" * 500):
        (files / "broken.npz").write_bytes(content)
        with pytest.raises(ConfigError, match=r"triage\.category: .*broken"):
            triage(files, triage={"category": "broken.npz"})
    with pytest.raises(ConfigError, match="no such file"):
        triage(files, triage={"category": "none.npz"})
    with pytest.raises(ConfigError, match="decides category, not urgency"):
        triage(files, triage={"urgency": "category.npz"})
    save(files / "empty.npz", "category", {}, {})
    with pytest.raises(ConfigError, match="no whole model of category"):
        triage(files, triage={"category": "empty.npz"})
