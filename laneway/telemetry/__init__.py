"""OpenTelemetry traces. Nothing of OpenTelemetry is imported before the environment asks for traces."""
