"""Whether traces are wanted, and how a submitter's trace travels with a task. Costs next to nothing."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from laneway.telemetry.tracing import Tracing

CARRIER = "traceparent="  # what a tag begins with that carries a submitter's trace
_TRACEPARENT = re.compile(
    r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)  # W3C Trace Context, version 00

log = logging.getLogger(__name__)


def are_wanted(env: Mapping[str, str]) -> bool:
    """Whether OpenTelemetry's own variables name an exporter or where it sends to."""
    if env.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return False
    exporter = env.get("OTEL_TRACES_EXPORTER", "").strip()
    if exporter:
        return exporter != "none"
    return bool(env.get("OTEL_EXPORTER_OTLP_ENDPOINT") or env.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))


def tracing(env: Mapping[str, str], *, content: bool, clean: Callable[[str], str]) -> Tracing | None:
    """None where no traces are wanted. The application's own provider, where it has set one, goes before the
    environment. ``content``: prompts and answers too; ``clean`` takes keys out of them."""
    api = sys.modules.get("opentelemetry.trace")
    own = api is not None and getattr(api, "_TRACER_PROVIDER", None) is not None
    if not own and not are_wanted(env):
        return None
    try:
        from laneway.telemetry.tracing import Tracing
    except ImportError as error:
        log.warning("no traces are sent: %s is missing; pip install 'laneway[telemetry]'", error.name)
        return None
    return Tracing(env, content=content, clean=clean)


def carried(headers: Mapping[str, str], env: Mapping[str, str]) -> tuple[str, ...]:
    """The tag that has a request's traceparent go with its task, to whichever worker does it; none without one."""
    said = headers.get("traceparent", "")
    return (CARRIER + said,) if said and are_wanted(env) and _TRACEPARENT.fullmatch(said) else ()


def parent_of(tags: Sequence[str]) -> str | None:
    """The traceparent that came with a task."""
    for tag in tags:
        if tag.startswith(CARRIER) and _TRACEPARENT.fullmatch(said := tag.removeprefix(CARRIER)):
            return said
    return None
