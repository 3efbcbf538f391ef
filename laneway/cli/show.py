"""``laneway explain``: looking at one task."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from laneway.cli.common import (
    ConfigOption,
    JsonOption,
    StoreOption,
    VerboseOption,
    application,
    print_json,
    printable,
    run_async,
)
from laneway.task import is_flow

if TYPE_CHECKING:
    from laneway.app.changes import Changed
    from laneway.app.flows.trees import Branch
    from laneway.app.laneway import Laneway
    from laneway.app.standing import Standing
    from laneway.store.detours import Detour
    from laneway.store.feedback import Feedback
    from laneway.store.flows import History
    from laneway.task import Attempt, Task

TaskArgument = Annotated[str, typer.Argument(help="A task's id or key.", metavar="TASK")]
PREVIEW = 300  # characters of a text that are shown


def register(app: typer.Typer) -> None:
    app.command("explain")(explain)


def explain(
    task: TaskArgument,
    run: Annotated[int | None, typer.Option(help="Look only in this run.", show_default=False)] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Why a task went where it went, and what its calls came to; of a flow its steps, and what it began."""
    lw = application(config, store, verbose)
    found, attempts, detours, waits, words, asked, changed, flow = run_async(_find(lw, task, run))
    content = "pruned" if found.pruned else "hidden" if lw.config.hide_content else "kept"
    if as_json:
        went = [{"at": d.at, "from": d.origin, "to": d.model, "reason": d.reason} for d in detours]
        budgets = [one.as_json() for one in waits]
        said = [{"field": w.about.value, "value": w.value, "model": w.model, "at": w.at, "note": w.note} for w in words]
        more: dict[str, Any] = {
            "diverted": went,
            "budgets": budgets,
            "content": content,
            "feedback": said,
            "classifier": asked,
        }
        more["changes"] = [one.as_json() for one in changed]
        if flow is not None:
            from laneway.cli.flow_text import flow_json

            more["flow"] = flow_json(*flow, lw.clock.now(), hide=content == "hidden")
        print_json({**_task_json(found, attempts), **more})
    else:
        sys.stdout.write(_task_text(found, attempts, detours, waits, asked, changed, content))
        if flow is not None:
            from laneway.cli.flow_text import flow_text

            sys.stdout.write(flow_text(*flow, lw.clock.now(), hide=content == "hidden"))
        sys.stdout.write(_feedback_text(words))


async def _find(
    lw: Laneway, ref: str, run_id: int | None
) -> tuple[
    Task,
    list[Attempt],
    list[Detour],
    list[Standing],
    list[Feedback],
    list[dict[str, Any]],
    list[Changed],
    tuple[Branch, History] | None,
]:
    """The task, its calls, its way to other models, the budgets that hold it back today, what was said of it, what the
    classifier was asked about it, and of a flow what it began and heard."""
    from laneway.app.changes import changes
    from laneway.app.standing import holding, standings
    from laneway.cli.show_questions import questions_about

    try:
        task = await lw.store.find_task(ref, run_id)
        budgets = await standings(lw.config, lw.store, lw.clock.now()) if not task.state.ended else []
        detours = await lw.store.detours(task.run_id, task.id)
        waits = list(holding(lw.config, task, budgets))
        attempts, words = await lw.store.attempts(task.id), await lw.store.feedback([task.id])
        changed = changes(lw.config, task, attempts, await lw.store.judged(task.id), lw.clock.now())
        flow = None
        if is_flow(task.model):
            from laneway.app.flows.trees import grown

            flow = grown(await lw.store.trees([task.id]))[0], (await lw.store.chronicles([task.id]))[task.id]
        return task, attempts, detours, waits, words, await questions_about(lw.store, task), changed, flow
    finally:
        await lw.close()


def _task_json(task: Task, attempts: list[Attempt]) -> dict[str, Any]:
    return {
        "id": task.id,
        "key": task.key,
        "run_id": task.run_id,
        "type": task.type,
        "state": task.state.value,
        "wait_reason": task.wait_reason.value if task.wait_reason else None,
        "wake_at": task.wake_at,
        "deadline": task.deadline,
        "twin": task.twin_id,
        "model": "" if is_flow(task.model) else task.model,
        "route": {**task.route.as_json(), **({"model": ""} if is_flow(task.route.model) else {})},
        "error": dict(task.error) if task.error else None,
        "attempts": [
            {
                "number": number,
                "model": a.model,
                "account": a.account,
                "outcome": a.outcome.value if a.outcome else "running",
                "started_at": a.started_at,
                "latency_s": a.latency,
                "input_tokens": a.usage.input_tokens if a.usage else None,
                "output_tokens": a.usage.output_tokens if a.usage else None,
                "cost_usd": a.cost,
                "error": dict(a.error) if a.error else None,
            }
            for number, a in enumerate(attempts, 1)
        ],
    }


def _task_text(
    task: Task,
    attempts: list[Attempt],
    detours: list[Detour],
    waits: list[Standing],
    asked: list[dict[str, Any]],
    changed: list[Changed],
    content: str,
) -> str:
    from laneway.cli.show_questions import question_line
    from laneway.task import State
    from laneway.triage.pipeline import explain as explain_route

    lines = [
        f"task {task.id}" + (f"  {printable(task.key)}" if task.key else ""),
        f"  type: {task.type}   state: {task.state.value}{_waits(task)}",
    ]
    held = "its next call is held" if task.state is State.RUNNING else "held"
    lines += [f"  {held} by the budget of {one.budget}: {one}" for one in waits]
    if task.twin_id is not None and task.state.ended:
        lines.append(f"  its result is that of task {task.twin_id}, which had the same key (dedupe_for)")
    lines += ["triage", *(f"  {printable(line)}" for line in explain_route(task.route))]
    lines += [f"  {question_line(task, one)}" for one in asked]
    for went in detours:
        when = time.strftime("%H:%M:%S", time.localtime(went.at))
        lines.append(f"  went to {went.model} at {when}: {went.origin} was {printable(went.reason)}")
    for change in changed:
        when = time.strftime("%H:%M:%S", time.localtime(change.at))
        lines.append(f"  {change.field} rose to {change.to} at {when}: {printable(change.reason)}")
    of_flow = is_flow(task.model)  # its tries are its steps
    if not of_flow:
        lines.append("attempts" if attempts else "attempts: none yet")
    for number, a in enumerate(attempts, 1):
        if of_flow and not a.error:
            continue
        outcome = a.outcome.value if a.outcome else "running"
        took = "" if a.latency is None else f" after {a.latency:.2f} s"
        usage = f", {a.usage.input_tokens}+{a.usage.output_tokens} tokens" if a.usage else ""
        cost = "" if a.cost is None else f", ${a.cost:.6f}"
        lines.append(
            f"  {number}. {a.model or 'Python'} on {a.account or 'this machine'}: {outcome}{took}{usage}{cost}"
        )
        if a.error:
            lines.append(f"     {_fault(a)}")
    if (kept := _kept(task, attempts)) is not None:
        lines.append(f"  the answer is that of attempt {kept}: no stronger model gave one")
    if content == "pruned":
        lines.append("content: pruned; its answer is in the results file, if it had one")
    elif content == "hidden" and task.state.ended:
        lines.append("answer\n  [hidden], since hide_content = true in the config")
    elif task.output is not None:
        lines.append(f"answer\n  {printable(_answer(task))[:PREVIEW]}")
    return "\n".join(lines) + "\n"


def _feedback_text(words: list[Feedback]) -> str:
    if not words:
        return ""
    lines = ["feedback"]
    for word in words:
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(word.at))
        of = f" ({word.model}'s answer)" if word.about == "quality" and word.model else ""
        note = f": {printable(word.note)[:PREVIEW]}" if word.note else ""
        lines.append(f"  {word.about.value}: {printable(word.value)}{of}, {when}{note}")
    return "\n".join(lines) + "\n"


def _fault(attempt: Attempt) -> str:
    from laneway.task import Outcome

    error = attempt.error or {}
    said = printable(str(error.get("message")))
    if attempt.outcome is Outcome.ESCALATED:
        return f"probably not good enough: {said}"
    return f"{error.get('class')}/{error.get('code')}: {said}"


def _kept(task: Task, attempts: list[Attempt]) -> int | None:
    """The number of the attempt whose weak answer the task has for want of a better one."""
    from laneway.task import Outcome, State

    if task.state is not State.SUCCEEDED or any(a.outcome is Outcome.OK for a in attempts):
        return None
    return max((number for number, a in enumerate(attempts, 1) if a.outcome is Outcome.ESCALATED), default=None)


def _waits(task: Task) -> str:
    """What a waiting task waits for."""
    from laneway.cli.ago import ahead
    from laneway.cli.status import WAITS

    if task.wait_reason is None:
        return ""
    if task.twin_id is not None:
        return f" for task {task.twin_id}, which has the same key"
    when = "" if task.wake_at is None else f", {ahead(task.wake_at, time.time())}"
    return f" {WAITS.get(task.wait_reason, task.wait_reason)}{when}"


def _answer(task: Task) -> str:
    from laneway.providers.chat import answer_text
    from laneway.task import Wire

    output = task.output or b""
    text = "" if task.wire is Wire.PYTHON else answer_text(Wire.CHAT, output)
    return text or output.decode("utf-8", "replace")
