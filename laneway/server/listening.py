"""A socket that listens: one of our own, or one that whoever started us listens on already."""

from __future__ import annotations

import os
import socket
from collections.abc import MutableMapping

from laneway.errors import UsageError

FIRST_PASSED = 3  # the descriptor of sd_listen_fds(3)


def passed(env: MutableMapping[str, str]) -> socket.socket | None:
    """The socket that systemd (or another parent, in the same way) listens on for us: it outlives this process, so that
    a successor can take over without a connection being refused. Its variables are taken out of ``env``. Raises
    UsageError where what is passed is no listening TCP socket."""
    pid, count, _ = (env.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"))
    if pid != str(os.getpid()) or not count.isdecimal() or int(count) < 1:
        return None
    try:
        found = socket.socket(fileno=FIRST_PASSED)
        listens = found.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise UsageError(f"LISTEN_FDS: descriptor {FIRST_PASSED} is no socket: {error.strerror}") from error
    if int(count) != 1 or found.family not in (socket.AF_INET, socket.AF_INET6) or not listens:
        raise UsageError("LISTEN_FDS passes something else than one listening TCP socket", hint="see laneway.socket")
    found.set_inheritable(False)
    return found


def listen(host: str, port: int, hint: str) -> socket.socket:
    """Raises UsageError, with the hint, when the address cannot be used."""
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=512)
    except OSError as error:
        raise UsageError(f"{host}:{port} cannot be listened on: {error.strerror or error}", hint=hint) from error


def origin(listener: socket.socket, host: str) -> str:
    """``http://host:port``, with the port that it got."""
    return f"http://{f'[{host}]' if ':' in host else host}:{listener.getsockname()[1]}"
