"""A socket that listens, or a sentence that says why not."""

from __future__ import annotations

import socket

from laneway.errors import UsageError


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
