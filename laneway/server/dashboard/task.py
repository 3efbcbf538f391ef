"""One task: why it went where it went, what its calls came to, what went in and came out."""

from __future__ import annotations

from laneway.app.explaining import Explanation, explanation
from laneway.app.steering import Verb
from laneway.app.webhooks import progress, receiver
from laneway.server.dashboard.page import Asked, Deed, Figures, Page
from laneway.server.dashboard.texts import answered_parts, asked_parts, shortened, whole
from laneway.server.dashboard.timeline import timeline
from laneway.server.dashboard.words import ahead
from laneway.server.envelopes import Refusal
from laneway.server.native.seeing import Seeing
from laneway.server.native.telling import cost_of
from laneway.task import State, Task, is_flow, needs_account

NODES = 400  # of a flow's tree that are looked at
PIECE = 60_000  # characters of a whole text on a page
TEXTS = {"in": asked_parts, "out": answered_parts}


async def figures(asked: Asked) -> Figures:
    task = await _task(asked)
    found = await explanation(asked.lw, task, NODES)
    content = _content(asked, found)
    return {
        "title": f"Task {task.key or task.id}",
        "task": task,
        "model": task.model if needs_account(task.model) else None,
        "route": task.route,
        "events": timeline(found, asked.now),
        "attempts": [] if is_flow(task.model) else found.attempts,
        "waits": found.waits,
        "words": found.words,
        "cost": cost_of(found.attempts),
        "content": content,
        "asked_for": shortened(asked_parts(task)) if content == "kept" else [],
        "answered": shortened(answered_parts(task)) if content == "kept" else [],
        "webhooks": [(receiver(one), progress(one, ahead(one.next_at, asked.now))) for one in found.webhooks],
        "tree": None if found.flow is None else found.flow[0],
        "may": {
            "cancel": asked.caller.operates and not task.state.ended,
            "retry": asked.caller.operates and task.state in (State.FAILED, State.CANCELLED) and not task.pruned,
        },
    }


async def text_figures(asked: Asked) -> Figures:
    task = await _task(asked)
    if asked.lw.config.hides_on_pages:
        raise Refusal(403, "prompts and answers are hidden here (hide_content)", code="hidden")
    which = asked.query.get("what", "in")
    if which not in TEXTS:
        raise Refusal(404, "there is no such text; what=in or out")
    text = whole(TEXTS[which](task))
    at = asked.query.get("at", "0")
    begin = min(int(at), len(text)) if at.isdecimal() and len(at) < 12 else 0
    end = begin + PIECE
    return {
        "title": f"Task {task.key or task.id}: text {which}",
        "task": task,
        "what": which,
        "text": text[begin:end],
        "begin": begin,
        "end": min(end, len(text)),
        "length": len(text),
        "before": max(0, begin - PIECE) if begin else None,
        "after": end if end < len(text) else None,
    }


async def cancel(asked: Asked) -> str:
    changed = await asked.verbs.one(asked.caller, Verb.CANCEL, await _task(asked))
    return "Cancelled." if changed else "It has ended already."


async def retry(asked: Asked) -> str:
    changed = await asked.verbs.one(asked.caller, Verb.RETRY, await _task(asked))
    return "It is queued again." if changed else "There is nothing to try again."


async def _task(asked: Asked) -> Task:
    ref = str(asked.place["ref"])
    return await Seeing(asked.lw).task(asked.caller, ref)


def _content(asked: Asked, found: Explanation) -> str:
    return "hidden" if found.content == "kept" and asked.lw.config.hides_on_pages else found.content


TASK = Page(
    "/tasks/{ref}", "Task", "task.html", figures, (Deed("cancel", cancel), Deed("retry", retry)), under="/tasks"
)
TEXT = Page("/tasks/{ref}/text", "Text", "text.html", text_figures, live=False, under="/tasks")
