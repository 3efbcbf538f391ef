"""What people see of flows: trees, what came after what, critical paths, Mermaid."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from laneway.app.flows.graph import mermaid, of_flow, of_run
from laneway.app.flows.paths import mean_path
from laneway.app.flows.trees import Branch, dependencies, grown
from laneway.store.flows import Event, History, Node, Step, TypeCount
from laneway.task import FLOW, State

NOW = 1_000.0


def node(
    id_: int,
    name: str = "",
    parent: int | None = None,
    *,
    at: float = 0.0,
    queued: float = 0.0,
    ran: float | None = 1.0,
    state: State = State.SUCCEEDED,
    step: int | None = 0,
    model: str = "small",
    type_: str | None = None,
) -> Node:
    """``name``: with the path in front: ``0.a``."""
    kind = type_ or name.rpartition(".")[2] or "flow"
    full = f"{name.removesuffix(kind)}{kind}(hash)#0" if parent else name
    ended = None if ran is None else at + queued + ran
    return Node(id_, parent, full, kind, state, None, model, at, at + queued, ended, 0.5, ran, False, step)


def root(ran: float | None = 10.0, **more: object) -> Node:
    return node(1, "report", ran=ran, model=FLOW, step=None, type_="report", **more)  # type: ignore[arg-type]


def heard(*nodes: Node) -> tuple[str, ...]:
    return tuple(one.name for one in nodes)


def after(flow: Branch, past: History) -> dict[str, list[str]]:
    return {one.child.node.type: [b.node.type for b in one.after] for one in dependencies(flow, past)}


class TestWhatCameAfterWhat:
    def test_a_join_comes_after_all_that_it_waited_for(self) -> None:
        a, b, c = node(2, "a", 1), node(3, "b", 1), node(4, "c", 1, step=1)
        (flow,) = grown([root(), a, b, c])
        past = History([Step(0, 0, (), 0), Step(1, 1, heard(a, b), 0)])
        assert after(flow, past) == {"a": [], "b": [], "c": ["a", "b"]}

    def test_what_was_heard_step_by_step_counts_as_well(self) -> None:
        a, b, c = node(2, "a", 1), node(3, "b", 1), node(4, "c", 1, step=2)
        (flow,) = grown([root(), a, b, c])
        past = History([Step(0, 0, (), 0), Step(1, 1, heard(a), 0), Step(2, 2, heard(b), 0)])
        assert after(flow, past)["c"] == ["a", "b"]

    def test_of_pipelines_side_by_side_each_follows_its_own(self) -> None:
        a, b = node(2, "0.a", 1), node(3, "1.b", 1)
        c, d, e = node(4, "0.c", 1, step=1), node(5, "1.d", 1, step=1), node(6, "e", 1, step=2)
        (flow,) = grown([root(), a, b, c, d, e])
        past = History([Step(0, 0, (), 0), Step(1, 1, heard(b, a), 0), Step(2, 2, heard(c, d), 0)])
        assert after(flow, past) == {"a": [], "b": [], "c": ["a"], "d": ["b"], "e": ["c", "d"]}

    def test_an_event_that_was_heard_is_told(self) -> None:
        a = node(2, "a", 1, step=1)
        (flow,) = grown([root(), a])
        event = Event("approval", b"1", 1.0)
        (begun,) = dependencies(flow, History([Step(0, 0, (), 0), Step(1, 1, (), 1)], events=[event]))
        assert begun.told == [event]


class TestTheCriticalPath:
    def test_is_what_the_end_waited_for(self) -> None:
        slow, quick = node(2, "slow", 1, at=0, queued=2, ran=4), node(3, "quick", 1, at=0, ran=1)
        join = node(4, "join", 1, at=6.5, ran=2, step=1)
        slow = slow._replace(called=3.0)
        paths = mean_path(grown([root(ran=9.0), slow, quick, join]))
        assert paths is not None
        assert (paths.flows, paths.seconds) == (1, 9.0)
        assert {name: (one.tasks, one.queued_s, one.ran_s) for name, one in paths.by_type.items()} == {
            "slow": (1, 2, 4),
            "join": (1, 0, 2),
        }
        assert paths.by_type["slow"].called_s == 3
        assert paths.held_s == 2 + 1, "what it waited in the queue, and beside its calls"
        assert paths.own_s == pytest.approx(1.0)
        assert paths.own_s + sum(one.queued_s + one.ran_s for one in paths.by_type.values()) == paths.seconds

    def test_goes_into_nested_flows_and_counts_their_time_once(self) -> None:
        inner = node(2, "inner", 1, at=0, queued=1, ran=5, model=FLOW)
        work = node(3, "work", 2, at=1, ran=4)
        paths = mean_path(grown([root(ran=6.0), inner, work]))
        assert paths is not None
        assert paths.by_type["work"].ran_s == 4
        assert paths.by_type["inner"].ran_s == 1
        assert paths.own_s + sum(one.queued_s + one.ran_s for one in paths.by_type.values()) == 6.0

    def test_there_is_none_of_flows_that_have_not_ended(self) -> None:
        assert mean_path(grown([root(ran=None, state=State.RUNNING)])) is None


class TestTheGraph:
    def test_of_a_flow_has_its_joins_states_and_nested_flows_as_boxes(self) -> None:
        a, b = node(2, "a", 1), node(3, "inner", 1, model=FLOW, state=State.RUNNING, ran=None)
        c = node(4, "c", 3, state=State.FAILED)
        d = node(5, "d", 1, step=1, ran=None, state=State.READY)
        (flow,) = grown([root(ran=None, state=State.WAITING), a, b, c, d])
        past = {1: History([Step(0, 0, (), 0), Step(1, 1, heard(a, b), 0)]), 3: History([Step(0, 0, (), 0)])}
        graph = of_flow(flow, past, NOW)
        assert list(graph.edges) == [("t1", "t2"), ("t1", "t3"), ("t2", "t5"), ("t3", "t5")]
        said = mermaid(graph)
        assert said.startswith("flowchart TD\n")
        assert re.search(r'subgraph t3\["inner.*"\]\n    t4\["c<br/>failed 1.0 s"\]:::failed\n  end\n', said)
        assert {":::waiting", ":::succeeded", ":::ready"} <= set(re.findall(r":::\w+", said))
        assert "class t3 running" in said

    def test_of_many_children_draws_those_of_one_type_together(self) -> None:
        many = [node(10 + i, f"map#0.{i}.a", 1) for i in range(100)]
        join = node(500, "join", 1, step=1)
        (flow,) = grown([root(), *many, join])
        graph = of_flow(flow, {1: History([Step(0, 0, (), 0), Step(1, 1, heard(*many), 0)])}, NOW)
        assert [sum(one.counts.values()) for one in graph.vertices.values()] == [1, 100, 1]
        assert len(graph.edges) == 2
        assert "a × 100<br/>100 succeeded" in mermaid(graph)

    def test_of_a_run_is_by_type_with_counts(self) -> None:
        a, b = node(2, "a", 1), node(3, "b", 1, step=1)
        flows = grown([root(), a, b])
        counts = [
            TypeCount("report", True, State.SUCCEEDED, 7),
            TypeCount("report", True, State.RUNNING, 1),
            TypeCount("a", False, State.SUCCEEDED, 8),
            TypeCount("b", False, State.FAILED, 2),
        ]
        graph = of_run(counts, flows, {1: History([Step(0, 0, (), 0), Step(1, 1, heard(a), 0)])})
        assert list(graph.edges) == [("n_report", "n_a"), ("n_a", "n_b")]
        assert graph.vertices["n_report"].counts == Counter({State.SUCCEEDED: 7, State.RUNNING: 1})
        assert [one.state for one in graph.vertices.values()] == ["running", "succeeded", "failed"]

    def test_a_name_cannot_end_its_label(self) -> None:
        bad = node(2, parent=1, name='a"]:::x\n<b>', type_='a"]:::x\n<b>')
        (flow,) = grown([root(), bad])
        said = mermaid(of_flow(flow, {1: History([Step(0, 0, (), 0)])}, NOW))
        assert len(said.splitlines()) == 5
        assert 't2["a#34;#93;' in said
        assert "<b>" not in said


def test_what_is_left_out_of_a_wide_tree_is_what_has_ended() -> None:
    children = [node(10 + i, f"map#0.{i}.a", 1) for i in range(30)]
    children.append(node(99, "b", 1, state=State.RUNNING, ran=None))
    (flow,) = grown([root(), *children])
    shown, more = flow.shown(20)
    assert shown[0].node.task_id == 99
    assert more == {State.SUCCEEDED: 11}
    assert flow.cost == pytest.approx(0.5 * 32)
    assert flow.as_json(NOW)["more_children"] == {"succeeded": 11}
