"""``laneway send-event``: saying something to a flow from outside."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from laneway.cli.common import ConfigOption, JsonOption, StoreOption, VerboseOption, application, print_json, run_async
from laneway.errors import InputError

LARGEST = 10_000_000  # bytes of what is sent


def register(app: typer.Typer) -> None:
    app.command("send-event")(send_event)


def send_event(
    flow: Annotated[str, typer.Argument(help="A flow's id or key.", metavar="FLOW")],
    name: Annotated[str, typer.Argument(help="The name that the flow waits for.", metavar="NAME")],
    data: Annotated[
        str | None,
        typer.Argument(help="What is sent with it: JSON, or - for standard input.", metavar="JSON|-"),
    ] = None,
    config: ConfigOption = None,
    store: StoreOption = None,
    as_json: JsonOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Tell a flow something that it waits for with flow.wait_event(NAME), or will.

    laneway send-event 17 approval '{"by": "Ann"}'
    """
    value = _value(data)
    lw = application(config, store, verbose)

    async def send() -> int:
        try:
            task = await lw.store.find_task(flow)
            await lw.send_event(task.id, name, value)
            return task.id
        finally:
            await lw.close()

    id_ = run_async(send(), brief=True)
    if as_json:
        print_json({"flow": id_, "event": name})
    else:
        sys.stdout.write(f"{name} was sent to flow {id_}\n")


def _value(data: str | None) -> Any:
    """Raises InputError for what is not JSON."""
    if data is None:
        return None
    import orjson

    text = sys.stdin.buffer.read(LARGEST + 1) if data == "-" else data.encode()
    if len(text) > LARGEST:
        raise InputError(f"an event carries {LARGEST:,} bytes at most", hint="send a reference to where the rest is")
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InputError(
            f"the event's data is not JSON: {error}", hint="""a text needs its quotes: '"yes"'"""
        ) from None
