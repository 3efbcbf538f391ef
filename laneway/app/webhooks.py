"""How far it has come that somebody is told of a task's end, for people to read."""

from __future__ import annotations

from typing import Any, assert_never
from urllib.parse import urlsplit

from laneway.store.webhooks import NOT_ENDED, HookState, Webhook


def receiver(hook: Webhook) -> str:
    """Scheme, host and port: the path and the query of such an address are often its secret."""
    parts = urlsplit(hook.url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def progress(hook: Webhook, when: str = "") -> str:
    """How far it has come. ``when``: the next delivery is, in words."""
    deliveries = f"{hook.attempts} {'delivery' if hook.attempts == 1 else 'deliveries'}"
    match hook.state:
        case HookState.WAITING:
            return "when it has ended"
        case HookState.PENDING:
            return f"due {when}, after {deliveries}: {hook.error}" if hook.error else f"due {when}"
        case HookState.DELIVERED:
            return f"delivered, {deliveries}"
        case HookState.GIVEN_UP:
            return f"given up, {deliveries}: {hook.error}"
        case _:
            assert_never(hook.state)


def webhook_json(hook: Webhook) -> dict[str, Any]:
    return {
        "to": receiver(hook),
        "state": hook.state.value,
        "attempts": hook.attempts,
        "next_at": None if hook.next_at == NOT_ENDED else hook.next_at,
        "done_at": hook.done_at,
        "last_error": hook.error,
    }
