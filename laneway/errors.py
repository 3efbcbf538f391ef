"""Every error that Laneway raises on purpose.

    LanewayError                    kind        exit
    ├── UsageError                  usage       2     the command or call was put wrongly
    ├── ConfigError                 config      2     laneway.toml, or an environment value, is wrong
    ├── InputError                  input       2     the tasks cannot be read; nothing was paid
    │   ├── NoPrompt                input       2     records or documents, and nothing says what to ask of them
    │   ├── NoModel                 input       2     nothing says which model is to be used
    │   └── ConflictError           conflict    2     one key, two different bodies
    ├── NotFoundError               not_found   2     no such task, run, model, lane
    ├── AuthError                   auth        2     a key is missing or may not be sent there
    ├── BudgetError                 budget      2     a budget cannot be kept or is spent
    ├── LimitError                  limit       3     a bound of Laneway's own was reached
    ├── ProviderError               provider    1     the provider refused or failed a call
    │   └── TaskFailed              provider    1     a task ended without an answer
    ├── StoreError                  store       3     the database is locked, full, damaged or gone
    ├── WaitTimeout                 timeout     3     the caller's own time ran out; the task goes on
    │   ├── NoWorker                timeout     3     … and nobody is there to do the task
    │   └── ServerUnreachable       timeout     3     … and `laneway serve` did not answer a client
    ├── TaskCancelled               cancelled   1     the task was cancelled
    └── Interrupted                 cancelled   130   somebody pressed Ctrl-C

A message says what is wrong; the ``hint`` says what to do next. Both are shown to people and carried in ``--json``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from laneway.task import Failure


class LanewayError(Exception):
    """Something that Laneway can explain. ``str(error)`` is the message, ``error.hint`` the next step (or "")."""

    kind: ClassVar[str] = "internal"
    exit_code: ClassVar[int] = 2

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def as_json(self) -> dict[str, dict[str, str]]:
        """The error envelope of every ``--json`` command."""
        return {"error": {"kind": self.kind, "message": self.message, "hint": self.hint}}


class UsageError(LanewayError):
    kind = "usage"


class ConfigError(LanewayError):
    kind = "config"


class InputError(LanewayError):
    kind = "input"


class NoPrompt(InputError):
    """Records or documents came without a prompt or a task type."""


class NoModel(InputError):
    """Neither the task nor the config names a model."""


class ConflictError(InputError):
    kind = "conflict"


class NotFoundError(LanewayError):
    kind = "not_found"


class AuthError(LanewayError):
    kind = "auth"


class BudgetError(LanewayError):
    kind = "budget"


class LimitError(LanewayError):
    kind = "limit"
    exit_code = 3


class ProviderError(LanewayError):
    """A call that failed for good. ``failure`` says how (class, code, status)."""

    kind = "provider"
    exit_code = 1

    def __init__(self, message: str, *, hint: str = "", failure: Failure | None = None) -> None:
        super().__init__(message, hint=hint)
        self.failure = failure


class TaskFailed(ProviderError):
    """``job.result()`` of a task that ended as ``failed``."""


class StoreError(LanewayError):
    kind = "store"
    exit_code = 3


class WaitTimeout(LanewayError, TimeoutError):
    """``job.result(timeout=…)`` ran out. The task goes on; ask again later."""

    kind = "timeout"
    exit_code = 3


class NoWorker(WaitTimeout):
    """The task waits and no live worker serves this store: start ``laneway worker`` or ``async with lw.worker()``."""


class ServerUnreachable(WaitTimeout):
    """``laneway serve`` did not answer ``laneway.Client``. ``sent``: it may have got the request all the same."""

    def __init__(self, message: str, *, hint: str = "", sent: bool = True) -> None:
        super().__init__(message, hint=hint)
        self.sent = sent


class TaskCancelled(LanewayError):
    kind = "cancelled"
    exit_code = 1


class Interrupted(LanewayError):
    kind = "cancelled"
    exit_code = 130
