"""The mixes of ``makespan`` in simulated time, where no other process disturbs them. To find where time goes::

python -m tests.benchmarks.played                # all
python -m tests.benchmarks.played output --seed 3 --starts
"""

from __future__ import annotations

import argparse
from collections import Counter

import orjson

from benchmarks.mixes import MIXES, Mix
from laneway.app.due import due_at
from laneway.config.models import DEFAULT_TARGET_WAIT
from laneway.providers.model import Limits, Model
from laneway.task import NewTask, Route, Spec, Urgency, Wire
from laneway.triage.tokens import estimate_body
from tests.dispatch.practice import Practice, account, practise
from tests.virtual import EPOCH

TARGET_WAIT_S = DEFAULT_TARGET_WAIT[Urgency.STANDARD]


def play(mix: Mix) -> Practice:
    """As the real command would take it in: estimates by the house rule, ``max_tokens`` for the answer."""
    wire = Wire.MESSAGES if mix.provider == "anthropic" else Wire.CHAT
    accounts = {
        name: account(name, provider=mix.provider, limits=Limits(**mix.told.get(name, {})))  # type: ignore[arg-type]
        for name in mix.servers
    }
    models = [
        Model(name, name, tuple(accounts[one] for one in served), 1.0, 1.0) for name, served in mix.accounts.items()
    ]
    bounds = {name: lane.get("concurrency") for name, lane in mix.lanes.items()}
    return practise(
        [_task(mix, wire, i) for i in range(len(mix.requests))],
        options={name: mix.options(name) for name in mix.servers},
        accounts=list(accounts.values()),
        models=models,
        lanes={name: None if bound is None else round(bound) for name, bound in bounds.items()},
        weights={name: lane["weight"] for name, lane in mix.lanes.items()},
    )


def _task(mix: Mix, wire: Wire, i: int) -> NewTask:
    asked = mix.requests[i]
    body = mix.body(asked)
    route = Route(asked.lane or "general", Urgency.STANDARD, asked.model)
    expected = estimate_body(wire, body)
    due = due_at(EPOCH, TARGET_WAIT_S, None, expected, asked.max_tokens)
    spec, raw = Spec("chat", wire), orjson.dumps(body)
    return NewTask(raw, spec, route, due, key=str(i), input_tokens=expected, output_tokens=asked.max_tokens)


def refused(world: Practice, mix: Mix) -> int:
    return sum(world.books(name)["rate_limited"] for name in mix.servers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mixes", nargs="*", metavar="MIX", help=", ".join(MIXES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--starts", action="store_true", help="starts in each second, ours and the ideal's")
    given = parser.parse_args()
    for name in given.mixes or MIXES:
        mix = MIXES[name](100 * given.seed)
        world, best = play(mix), mix.ideal()
        print(
            f"{name:12} {world.seconds:6.2f} s  ideal {best.makespan:6.2f}  ratio {world.seconds / best.makespan:.4f}  "
            f"refused {refused(world, mix)}  last start {max(call.at for call in world.calls):6.2f}  "
            f"ideal {max(start.at for start in best.starts):6.2f}",
            flush=True,
        )
        if given.starts:
            print("  ours ", _per_second([call.at for call in world.calls]))
            print("  ideal", _per_second([start.at for start in best.starts]))


def _per_second(times: list[float]) -> list[int]:
    counts = Counter(int(at) for at in times)
    return [counts[second] for second in range(max(counts, default=-1) + 1)]


if __name__ == "__main__":
    main()
