"""Prompt templates: Jinja2, sandboxed, over a record's fields. An unknown field is a fault, not an empty string."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from laneway.errors import ConfigError

LARGEST_PROMPT = 20_000_000  # characters


class TemplateFault(Exception):
    """A record that a template cannot be filled from; the message says which field is missing."""


class Templates:
    """Compiles the templates of one folder, each once."""

    def __init__(self, folder: Path) -> None:
        from jinja2 import FileSystemLoader, StrictUndefined
        from jinja2.sandbox import SandboxedEnvironment

        self._folder = folder
        self._env = SandboxedEnvironment(
            loader=FileSystemLoader(folder), undefined=StrictUndefined, autoescape=False, keep_trailing_newline=False
        )

    def load(self, path: Path) -> Template:
        """A template by its path, relative to the folder. Raises ConfigError."""
        from jinja2 import TemplateSyntaxError

        file = path if path.is_absolute() else self._folder / path
        try:
            return Template(str(path), self._env.from_string(file.read_text("utf-8")))
        except TemplateSyntaxError as error:
            raise ConfigError(f"{file}, line {error.lineno}: {error.message}", hint="mend the template") from None
        except FileNotFoundError:
            raise ConfigError(f"there is no template {file}", hint="check the path") from None
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"the template {file} cannot be read: {error}", hint="check the file") from None


class Template:
    def __init__(self, name: str, compiled: Any) -> None:
        self._name = name
        self._compiled = compiled

    def render(self, fields: Mapping[str, Any]) -> str:
        """The prompt for a record. Raises TemplateFault."""
        from jinja2 import TemplateError, UndefinedError

        try:
            text: str = self._compiled.render(fields)
        except UndefinedError as error:
            have = ", ".join(list(fields)[:12]) or "nothing"
            raise TemplateFault(f"{self._name}: {error.message}; this record has: {have}") from None
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
            raise TemplateFault(f"{self._name}: {error}") from None
        if len(text) > LARGEST_PROMPT:
            raise TemplateFault(f"{self._name}: the prompt would be {len(text):,} characters long")
        return text
