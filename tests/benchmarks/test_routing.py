"""The mix of tasks that triage is measured on end to end."""

from __future__ import annotations

import json

from benchmarks.routing import mix
from benchmarks.routing.end_to_end import OUTPUT_TOKENS, good
from laneway.simulator.answers import say
from laneway.simulator.models import parse_models


def test_the_mix_is_the_same_for_a_seed_and_has_all_its_types() -> None:
    tasks = [*mix.tasks(400, 1)]
    assert tasks == [*mix.tasks(400, 1)]
    assert tasks != [*mix.tasks(400, 2)]
    assert {task["type"] for task in tasks} == set(mix.PARTS)
    assert len({task["id"] for task in tasks}) == 400


def test_an_answer_is_good_if_it_is_what_the_simulator_says_when_it_answers_well() -> None:
    """Judged without the simulator's word on it, and as its books have it."""
    models, right, wrong = parse_models(mix.MODELS), 0, 0
    for task in mix.tasks(600, 3):
        asked = mix.PROMPTS[task["type"]].replace("{{ text }}", task["text"])
        form = mix.SCHEMAS.get(task["type"])
        schema = None if form is None else mix.schema(form)
        for model in models.by_name.values():
            marks = {"marked": model.marked, "alarms": model.alarms}
            said = say(3, asked, schema, model.quality_for(asked), OUTPUT_TOKENS, None, **marks)
            output = said.text if schema is None else json.loads(said.text)
            assert good(task, {"output": output}, 3) == said.good
            right += said.good
            wrong += not said.good
    assert right > wrong > 50
