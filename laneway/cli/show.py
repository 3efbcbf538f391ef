"""``laneway explain``: looking at one task."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated

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
    from laneway.app.explaining import Explanation
    from laneway.app.laneway import Laneway
    from laneway.store.feedback import Feedback
    from laneway.store.webhooks import Webhook
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
    found = run_async(_find(lw, task, run))
    if as_json:
        print_json(found.as_json(lw.clock.now()))
        return
    sys.stdout.write(_task_text(found))
    if found.flow is not None:
        from laneway.cli.flow_text import flow_text

        sys.stdout.write(flow_text(*found.flow, lw.clock.now(), hide=found.content == "hidden"))
    sys.stdout.write(_feedback_text(found.words))


async def _find(lw: Laneway, ref: str, run_id: int | None) -> Explanation:
    from laneway.app.explaining import explanation

    try:
        return await explanation(lw, await lw.store.find_task(ref, run_id))
    finally:
        await lw.close()


def _task_text(found: Explanation) -> str:
    from laneway.cli.show_questions import question_line
    from laneway.task import State
    from laneway.triage.pipeline import explain as explain_route

    task, attempts, content = found.task, found.attempts, found.content
    lines = [
        f"task {task.id}" + (f"  {printable(task.key)}" if task.key else ""),
        f"  type: {task.type}   state: {task.state.value}{_waits(task)}",
    ]
    held = "its next call is held" if task.state is State.RUNNING else "held"
    lines += [f"  {held} by the budget of {one.budget}: {one}" for one in found.waits]
    if found.limits:
        from laneway.cli.status import set_line

        lines += [f"  {set_line(one, time.time())}" for one in found.limits]
    if task.twin_id is not None and task.state.ended:
        lines.append(f"  its result is that of task {task.twin_id}, which had the same key (dedupe_for)")
    lines += ["triage", *(f"  {printable(line)}" for line in explain_route(task.route))]
    lines += [f"  {question_line(task, one)}" for one in found.asked]
    for went in found.detours:
        when = time.strftime("%H:%M:%S", time.localtime(went.at))
        lines.append(f"  went to {went.model} at {when}: {went.origin} was {printable(went.reason)}")
    for change in found.changed:
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
    lines += [_webhook_line(one) for one in found.webhooks]
    if content == "pruned":
        lines.append("content: pruned; its answer is in the results file, if it had one")
    elif content == "hidden" and task.state.ended:
        lines.append("answer\n  [hidden], since hide_content = true in the config")
    elif task.output is not None:
        lines.append(f"answer\n  {printable(_answer(task))[:PREVIEW]}")
    return "\n".join(lines) + "\n"


def _webhook_line(hook: Webhook) -> str:
    from laneway.app.webhooks import progress, receiver
    from laneway.cli.ago import ahead

    when = "" if hook.next_at is None else ahead(hook.next_at, time.time())
    return f"webhook to {printable(receiver(hook))}: {printable(progress(hook, when))}"


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
