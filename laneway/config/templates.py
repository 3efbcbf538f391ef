"""Prompt templates: Jinja2, sandboxed, over a record's fields. An unknown field is a fault, not an empty string."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from laneway.errors import ConfigError

if TYPE_CHECKING:
    import jinja2

LARGEST_TEMPLATE = 2_000_000  # bytes
LARGEST_PROMPT = 20_000_000  # characters
_SHOWN_FIELDS = 12


class TemplateFault(Exception):
    """A record that a template cannot be filled from; the message says what it asks for and what there is."""


class Templates:
    """Compiles templates, each once. What they include comes from ``folder`` or below, from nowhere else."""

    def __init__(self, folder: Path) -> None:
        from laneway.config.sandbox import PromptEnvironment

        self._folder = folder
        self._env = PromptEnvironment(folder)
        self._compiled: dict[Path, Template] = {}

    def load(self, path: Path) -> Template:
        """A template by its path, absolute or relative to the folder. Raises ConfigError with file and line."""
        file = self._folder / path
        if file not in self._compiled:
            self._compiled[file] = self._compile(str(path), file)
        return self._compiled[file]

    def from_text(self, name: str, text: str) -> Template:
        """A template that stands in no file; ``name`` is for messages. Raises ConfigError."""
        return self._checked(name, name, text)

    def _compile(self, name: str, file: Path) -> Template:
        try:
            with file.open("rb") as opened:
                raw = opened.read(LARGEST_TEMPLATE + 1)
            text = raw.decode("utf-8-sig")
        except FileNotFoundError:
            raise ConfigError(f"there is no template {file}", hint="check the path") from None
        except UnicodeDecodeError:
            raise ConfigError(f"the template {file} is not UTF-8", hint="save it as UTF-8") from None
        except OSError as error:
            raise ConfigError(f"the template {file} cannot be read: {error.strerror}", hint="check the file") from None
        if len(raw) > LARGEST_TEMPLATE:
            raise ConfigError(
                f"the template {file} is larger than {LARGEST_TEMPLATE:,} bytes",
                hint="put long documents into the records, not into the template",
            )
        return self._checked(name, str(file), text)

    def _checked(self, name: str, file: str, text: str) -> Template:
        from jinja2 import TemplateNotFound, TemplateSyntaxError

        try:
            compiled = self._env.from_string(text)
            mentions = self._compile_included(text, set())
        except TemplateNotFound as error:
            raise ConfigError(
                f"{file}: it includes {error.name!r}, which is not in {self._folder}",
                hint="includes are looked for in the config's folder only",
            ) from None
        except TemplateSyntaxError as error:
            where = str(self._folder / error.name) if error.name else file
            raise ConfigError(f"{where}, line {error.lineno}: {error.message}", hint="mend the template") from None
        except (RecursionError, MemoryError, OverflowError):
            raise ConfigError(f"{file}: too deeply nested or too large", hint="make the template simpler") from None
        return Template(name, compiled, frozenset(mentions), blank=not text.strip())

    def _compile_included(self, text: str, seen: set[str]) -> set[str]:
        """The fields that a text and what it includes ask for. A mistake in an included file is found now, not when the
        first record comes."""
        from jinja2.meta import find_referenced_templates, find_undeclared_variables

        parsed = self._env.parse(text)
        mentions = find_undeclared_variables(parsed)
        for name in find_referenced_templates(parsed):
            if name is None or name in seen:
                continue
            seen.add(name)
            self._env.get_template(name)
            assert self._env.loader is not None
            mentions |= self._compile_included(self._env.loader.get_source(self._env, name)[0], seen)
        return mentions


class Template:
    """One prompt. In it a record's fields are variables; ``record`` is all of them (``{{ record["Customer name"] }}``),
    unless a field has that name."""

    def __init__(
        self, name: str, compiled: jinja2.Template, mentions: frozenset[str] = frozenset(), *, blank: bool = False
    ) -> None:
        self.name = name
        self.blank = blank
        self.mentions = mentions  # the fields that it asks for
        self._compiled = compiled

    def render(self, fields: Mapping[str, object]) -> str:
        """The prompt for a record. Raises TemplateFault when it cannot be filled or would be too long."""
        from jinja2 import UndefinedError

        parts: list[str] = []
        length = 0
        try:
            for part in self._compiled.generate({"record": fields, **fields}):
                length += len(part)
                if length > LARGEST_PROMPT:
                    break
                parts.append(part)
        except UndefinedError as error:
            raise TemplateFault(f"{self.name}: {error.message}, this record has: {_names(fields)}") from None
        except (MemoryError, RecursionError):
            raise TemplateFault(f"{self.name}: too large or too deeply nested to be rendered") from None
        except Exception as error:
            raise TemplateFault(f"{self.name}: {type(error).__name__}: {error}".removesuffix(": ")) from error
        if length > LARGEST_PROMPT:
            raise TemplateFault(f"{self.name}: the prompt is longer than {LARGEST_PROMPT:,} characters")
        return "".join(parts)


def _names(fields: Mapping[str, object]) -> str:
    shown = ", ".join(map(str, list(fields)[:_SHOWN_FIELDS]))
    more = f" and {len(fields) - _SHOWN_FIELDS} more" if len(fields) > _SHOWN_FIELDS else ""
    return (shown or "nothing") + more
