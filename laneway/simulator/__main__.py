"""``python -m laneway.simulator``: the simulator as a process of its own, without the command line's weight."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.util
import signal
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import NoReturn

from laneway.errors import LanewayError, UsageError
from laneway.simulator.models import read_models
from laneway.simulator.options import Options

LOOPBACK = ("127.0.0.1", "localhost", "::1")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(message, hint="see `laneway simulator --help`")


def parser() -> argparse.ArgumentParser:
    made = _Parser(
        prog="laneway simulator",
        description="A practice provider on loopback: Chat Completions, Responses, Embeddings, Anthropic Messages.",
        epilog="While it runs: GET /stats, POST /reset, POST /control with any option as JSON. The design is in "
        "design/simulator.md.",
        allow_abbrev=False,
    )
    add = made.add_argument
    add("--host", default="127.0.0.1", choices=LOOPBACK, help="address to listen on (default: %(default)s)")
    add("--port", type=int, default=8090, help="0: any free one (default: %(default)s)")
    add("--latency", type=float, default=0.3, help="seconds that a call takes (default: %(default)s)")
    add("--spread", type=float, default=0.0, help="sigma of a log-normal latency with that median; 0: fixed")
    add("--token-latency", type=float, default=0.0, help="seconds more for each token of the answer")
    add("--rpm", type=float, help="requests a minute")
    add("--tpm", type=float, help="tokens a minute; on OpenAI's paths input plus the most output that is allowed")
    add("--input-tpm", type=float, help="input tokens a minute")
    add("--output-tpm", type=float, help="output tokens a minute")
    add("--burst", type=float, default=1.0, help="seconds of each limit that its bucket holds (default: %(default)s)")
    add("--concurrency", type=int, help="calls at once")
    add("--error-rate", type=float, default=0.0, help="share of 500s")
    add("--rate-limit-rate", type=float, default=0.0, help="share of 429s beyond those of the limits")
    add("--cut-rate", type=float, default=0.0, help="share of connections cut in mid-answer")
    add("--hang-nth", type=int, help="the one request that is never answered, counted from 1")
    add("--malformed-rate", type=float, default=0.0, help="share of answers broken off, or not what the schema asked")
    add("--overload-stream-rate", type=float, default=0.0, help="share of streams that end with overloaded_error")
    add("--cached-rate", type=float, default=0.0, help="share of each request's input that comes out of a prompt cache")
    add("--written-rate", type=float, default=0.0, help="share of what is left that is written to it")
    add("--no-headers", action="store_true", help="send neither rate-limit headers nor retry-after")
    add("--output-tokens", type=int, default=64, help="length of a plain-text answer (default: %(default)s)")
    add("--output-spread", type=float, default=0.0, help="sigma of a log-normal length with that median; 0: fixed")
    add("--key", action="append", default=[], help="an accepted key; may be given again; none: any key")
    add("--models", type=Path, metavar="FILE", help="TOML or JSON: per model input_price, output_price (USD per "
        "million tokens), latency, quality (0 to 1), kinds (a table: pattern in the request = quality), marked and "
        "alarms (shares of poor and of good answers that begin with [uncertain]); `strict = true`: other models are "
        "unknown")  # fmt: skip
    add("--seed", type=int, default=0, help="of answers and faults (default: %(default)s)")
    add("--exit-with-parent", action="store_true", help="end when standard input ends")
    add("--json", action="store_true", help="print the ready line, or an error, as one JSON object")
    return made


def run(arguments: Sequence[str] | None = None) -> None:
    """Serve until a signal. Raises UsageError."""
    given = vars(parser().parse_args(arguments))
    host, port, models_file = given.pop("host"), given.pop("port"), given.pop("models")
    until_stdin_ends, as_json = given.pop("exit_with_parent"), given.pop("json")
    if not 0 <= port <= 65_535:
        raise UsageError("--port takes 0 to 65535")
    options = Options()
    try:
        options.change(given)
        if models_file is not None:
            options.models = read_models(models_file)
    except OSError as error:
        raise UsageError(f"{models_file}: {error.strerror or error}") from None
    except ValueError as error:
        raise UsageError(str(error)) from None
    from laneway.simulator.server import serve

    _allow_many_connections()
    try:
        _until_a_signal(serve(options, host, port, until_stdin_ends=until_stdin_ends, as_json=as_json))
    except OSError as error:
        message = f"cannot listen on {host}, port {port}: {error.strerror or error}"
        raise UsageError(message, hint="--port 0 takes any free port") from None


def _until_a_signal(work: Coroutine[None, None, None]) -> None:
    """Run to the end, or to SIGTERM or Ctrl-C, on the fastest loop there is."""

    async def guarded() -> None:
        this = asyncio.current_task()
        assert this is not None
        for number in (signal.SIGINT, signal.SIGTERM):
            with contextlib.suppress(NotImplementedError):  # Windows
                asyncio.get_running_loop().add_signal_handler(number, this.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await work

    with contextlib.suppress(KeyboardInterrupt):
        if importlib.util.find_spec("uvloop") is None:  # it has no Windows version
            asyncio.run(guarded())
        else:
            import uvloop

            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(guarded())


def _allow_many_connections() -> None:
    """As many open sockets as the system permits this process."""
    if importlib.util.find_spec("resource") is None:  # Windows
        return
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 0 after a signal, 2 for a command line that cannot be followed."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        run(given)
    except LanewayError as error:
        if "--json" in given:
            import json

            sys.stdout.write(json.dumps(error.as_json()) + "\n")
        else:
            sys.stderr.write(f"laneway simulator: {error.message}\n")
            if error.hint:
                sys.stderr.write(f"  → {error.hint}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
