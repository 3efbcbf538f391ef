"""What systemd is told of a service of ``Type=notify``: the datagrams of sd_notify(3)."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, MutableMapping

PATIENCE_S = 1.0  # for a manager whose socket is full

log = logging.getLogger(__name__)


class ServiceManager:
    """Whoever started this process and wants to hear how it does; where nobody does, nothing is said."""

    def __init__(self, env: MutableMapping[str, str]) -> None:
        """Its variables are taken out of ``env``: no child of ours is to speak in our name."""
        address = env.pop("NOTIFY_SOCKET", "")
        self._address = "\0" + address[1:] if address.startswith("@") else address  # an abstract socket
        usec, pid = env.pop("WATCHDOG_USEC", ""), env.pop("WATCHDOG_PID", "")
        for_us = usec.isdecimal() and pid in ("", str(os.getpid()))
        self._watchdog_s = int(usec) / 1e6 if for_us else 0.0

    def ready(self, status: str) -> None:
        self._tell("READY=1", f"STATUS={status}")

    def stopping(self, status: str, within: float | None) -> None:
        """``within``: seconds that the end may take, which systemd then allows it."""
        extend = [] if within is None else [f"EXTEND_TIMEOUT_USEC={within * 1e6:.0f}"]
        self._tell("STOPPING=1", f"STATUS={status}", *extend)

    async def keep_watched(self, is_well: Callable[[], bool]) -> None:
        """Until it is cancelled: feed the watchdog, twice in its time, as long as the event loop moves and all is
        well. Returns at once where there is none."""
        while self._watchdog_s:
            if is_well():
                self._tell("WATCHDOG=1")
            await asyncio.sleep(self._watchdog_s / 2)

    def _tell(self, *lines: str) -> None:
        if not self._address:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.settimeout(PATIENCE_S)
                sender.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            log.warning("systemd could not be told %s: %s", lines[0], error)
