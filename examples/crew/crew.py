"""A crew of agents: researchers side by side, an analyst, writers, an editor who sends work back. And one agent that
does the same work alone, step after step.

    python examples/crew/crew.py                          # on the practice provider: no key, no cost
    python examples/crew/crew.py --real "Your question?"  # on what laneway.toml names

Both are flows: stop it, start it again with --continue, and nothing that was answered is paid twice.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field
from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessage
from pydantic_ai.usage import RunUsage, UsageLimits

from laneway import Laneway, flow

HERE = Path(__file__).parent
QUESTION = "Should the housing association replace the gas boilers of its 1970s houses by heat pumps, and when?"
SIDES = ("What does it cost?", "What do law and subsidies say?", "Does the technology work?", "What do tenants say?")
ROUNDS = 2  # times at most that the editor sends work back
LIMITS = UsageLimits(request_limit=60, total_tokens_limit=400_000)  # of the whole crew, of each question

lw = Laneway(HERE / "laneway.toml")


THREE = Field(min_length=3, max_length=3)


class Section(BaseModel):
    title: str
    points: list[str]


class Outline(BaseModel):
    sections: Annotated[list[Section], THREE]


class Review(BaseModel):
    good_enough: bool
    remarks: Annotated[list[str], THREE]  # one a section


@lw.task
def search(words: str) -> str:
    """Search the association's notes.

    Args:
        words: what to look for, in a few words
    """
    asked = {word.strip("?,.").casefold() for word in words.split()}
    notes = [note.read_text() for note in sorted((HERE / "notes").glob("*.md"))]
    found = [note for note in notes if asked & set(note.casefold().split())]
    return "\n\n".join(found or notes)


researcher = Agent(name="researcher", instructions="Answer from the notes, with figures.", tools=[lw.tool(search)])
analyst = Agent(name="analyst", instructions="Turn findings into an outline of three sections.", output_type=Outline)
writer = Agent(name="writer", instructions="Write one section, 150 words, from the findings only.")
editor = Agent(name="editor", instructions="Judge each section strictly: figures, sources, logic.", output_type=Review)


@lw.flow
async def crew(question: str) -> dict[str, Any]:
    """What does not need each other goes on at once."""
    usage = RunUsage()

    async def ask(agent: Agent[None, Any], prompt: str, model: str = "strong") -> Any:
        return (await lw.run_agent(agent, prompt, model=model, usage=usage, usage_limits=LIMITS)).output

    facts = await flow.gather(*(ask(researcher, f"{question} {side}", "small") for side in SIDES))
    findings = "\n\n".join(facts)
    outline: Outline = await ask(analyst, f"{question}\n\nFindings:\n{findings}")
    orders = [f"Section: {one.title}\nPoints: {one.points}\n\nFindings:\n{findings}" for one in outline.sections]
    texts = await flow.gather(*(ask(writer, order) for order in orders))
    for sent_back in range(ROUNDS + 1):
        review: Review = await ask(editor, "\n\n".join(texts))
        if review.good_enough or sent_back == ROUNDS:
            break
        again = zip(orders, texts, review.remarks, strict=True)
        texts = await flow.gather(
            *(ask(writer, f"{order}\n\nSo far:\n{text}\n\nMend this: {remark}") for order, text, remark in again)
        )
    return told(texts, review, sent_back, usage)


alone = Agent(
    name="alone",
    instructions="You research, outline, write and judge, as you are asked, from the notes only.",
    tools=[lw.tool(search)],
)


@lw.flow
async def single(question: str) -> dict[str, Any]:
    """The same steps in one conversation."""
    usage, history = RunUsage(), list[ModelMessage]()

    async def ask(prompt: str, wanted: Any = str, model: str = "strong") -> Any:
        settings = {} if model == "small" else {"tool_choice": "none"}  # it searches for facts, and not for words
        done = await lw.run_agent(
            alone, prompt, model=model, output_type=wanted, message_history=history, model_settings=settings,
            usage=usage, usage_limits=LIMITS,
        )  # fmt: skip
        history[:] = done.all_messages()
        return done.output

    for side in SIDES:
        await ask(f"{question} {side}", model="small")
    outline: Outline = await ask("Turn your findings into an outline of three sections.", Outline)
    texts = [await ask(f"Write the section {one.title!r}, 150 words, on {one.points}.") for one in outline.sections]
    for sent_back in range(ROUNDS + 1):
        review: Review = await ask("Judge each of the three sections strictly.", Review)
        if review.good_enough or sent_back == ROUNDS:
            break
        texts = [await ask(f"Write section {at} again. Mend this: {said}") for at, said in enumerate(review.remarks, 1)]
    return told(texts, review, sent_back, usage)


def told(texts: list[str], review: Review, sent_back: int, usage: RunUsage) -> dict[str, Any]:
    return {
        "text": "\n\n".join(texts),
        "good_enough": review.good_enough,
        "sent_back": sent_back,
        "requests": usage.requests,
        "tokens": usage.total_tokens,
    }


# Running it -----------------------------------------------------------------------------------------------------------
async def both(question: str, fresh: bool) -> None:
    stamp = f" {time.time_ns()}" if fresh else ""
    async with lw.worker():
        for work in (crew, single):
            began = time.perf_counter()
            job = await lw.submit(work, question, key=f"{work.name}: {question}{stamp}")
            said = await job.result()
            said["seconds"] = round(time.perf_counter() - began, 2)
            print(f"{work.name:>6}: " + ", ".join(f"{name} {value}" for name, value in said.items() if name != "text"))
            if work is crew:
                seconds, text = said["seconds"], said["text"]
    print(f"\nThe crew took {1 - seconds / said['seconds']:.0%} less time.\n\n{text[:600]} …")
    await lw.close()


def main() -> None:
    parser = argparse.ArgumentParser(description="A crew of agents, and one that does the same alone.")
    parser.add_argument("question", nargs="?", default=QUESTION)
    parser.add_argument("--real", action="store_true", help="on the accounts of laneway.toml")
    parser.add_argument("--continue", dest="go_on", action="store_true", help="with what was begun before")
    parser.add_argument("--latency", type=float, default=1.0, help="seconds that a simulated answer takes")
    given = parser.parse_args()
    from laneway.simulator.process import SimulatorProcess

    with nullcontext() if given.real else SimulatorProcess(latency=given.latency, seed=6) as simulator:
        if simulator is not None:
            os.environ |= {"LANEWAY_ACCOUNTS__MAIN__BASE_URL": simulator.url, "OPENAI_API_KEY": "sk-simulated"}
        asyncio.run(both(given.question, fresh=not given.go_on))


if __name__ == "__main__":
    main()
