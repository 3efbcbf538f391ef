"""A provider as OpenTelemetry's environment variables describe it."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Mapping

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter

from laneway.version import VERSION

HTTP = "http/protobuf"

log = logging.getLogger(__name__)


def provider(env: Mapping[str, str]) -> TracerProvider:
    """Endpoint, headers, sampler, batches, limits: the SDK reads them itself. Without ``OTEL_SERVICE_NAME`` the service
    is called laneway."""
    made = TracerProvider(resource=_resource(env), shutdown_on_exit=False)
    for name in filter(None, map(str.strip, env.get("OTEL_TRACES_EXPORTER", "otlp").split(","))):
        if exporter := _exporter(name, env):
            made.add_span_processor(BatchSpanProcessor(exporter))
    return made


def _resource(env: Mapping[str, str]) -> Resource:
    """What is given to ``create`` goes before the environment, so only what that leaves out is."""
    facts = {"service.version": VERSION, "service.instance.id": str(uuid.uuid4())}
    said = env.get("OTEL_RESOURCE_ATTRIBUTES", "")
    if not env.get("OTEL_SERVICE_NAME") and "service.name=" not in said:
        facts["service.name"] = "laneway"
    return Resource.create({name: fact for name, fact in facts.items() if f"{name}=" not in said})


def _exporter(name: str, env: Mapping[str, str]) -> SpanExporter | None:
    if name == "console":
        return ConsoleSpanExporter()
    if name != "otlp":
        log.warning("OTEL_TRACES_EXPORTER names %s; otlp, console and none are known here", name)
        return None
    protocol = env.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL") or env.get("OTEL_EXPORTER_OTLP_PROTOCOL") or HTTP
    if protocol != HTTP:
        log.warning("traces are sent by %s, not by %s", HTTP, protocol)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    return OTLPSpanExporter()
