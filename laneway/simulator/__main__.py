"""``python -m laneway.simulator``: the simulator as a process of its own, without the command line's weight."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from laneway.simulator.options import Options, read_models


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="laneway simulator", description="A practice provider on loopback.")
    add = made.add_argument
    add("--host", default="127.0.0.1", help="address to listen on; loopback only")
    add("--port", type=int, default=8090, help="0: any free one (default: %(default)s)")
    add("--latency", type=float, default=0.3, help="seconds (default: %(default)s)")
    add("--spread", type=float, default=0.0, help="sigma of the log-normal latency; 0: fixed")
    add("--rpm", type=float, help="requests a minute")
    add("--tpm", type=float, help="tokens a minute: input and the most output that is allowed")
    add("--input-tpm", type=float, help="input tokens a minute")
    add("--output-tpm", type=float, help="output tokens a minute")
    add("--burst", type=float, default=1.0, help="seconds of each limit that its bucket holds (default: %(default)s)")
    add("--concurrency", type=int, help="calls at once")
    add("--error-rate", type=float, default=0.0, help="share of 500s")
    add("--rate-limit-rate", type=float, default=0.0, help="share of 429s without a reason")
    add("--cut-rate", type=float, default=0.0, help="share of connections cut in mid-answer")
    add("--hang-nth", type=int, help="the request that is never answered")
    add("--malformed-rate", type=float, default=0.0, help="share of answers that break off")
    add("--overload-stream-rate", type=float, default=0.0, help="share of streams that end with overloaded_error")
    add("--no-headers", action="store_true", help="send no rate-limit headers")
    add("--output-tokens", type=int, default=64, help="length of an answer (default: %(default)s)")
    add("--key", action="append", default=[], help="an accepted key; may be given again; none: any key")
    add("--models", type=Path, help="TOML or JSON: per model input_price, output_price, latency, quality")
    add("--seed", type=int, default=0)
    add("--exit-with-parent", action="store_true", help="end when standard input ends")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    given = vars(parser().parse_args(arguments))
    host, port, models_file = given.pop("host"), given.pop("port"), given.pop("models")
    until_stdin_ends = given.pop("exit_with_parent")
    if host not in ("127.0.0.1", "localhost", "::1"):
        sys.stderr.write("laneway simulator: it answers everybody, so it listens on loopback only\n")
        return 2
    options = Options()
    try:
        options.change(given)
        models = read_models(models_file) if models_file else {}
    except (OSError, ValueError, TypeError) as error:
        sys.stderr.write(f"laneway simulator: {error}\n")
        return 2
    from laneway.simulator.server import serve

    async def run() -> None:
        this = asyncio.current_task()
        assert this is not None
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, this.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await serve(options, models, host, port, until_stdin_ends=until_stdin_ends)

    try:
        if sys.platform == "win32":
            asyncio.run(run())
        else:
            import uvloop

            uvloop.run(run())
    except OSError as error:
        sys.stderr.write(f"laneway simulator: port {port}: {error.strerror or error}\n")
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
