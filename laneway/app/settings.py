"""Where this process finds its store."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from laneway.errors import ConfigError

if TYPE_CHECKING:
    from laneway.config.models import Config
    from laneway.store.interface import Store

DEFAULT_STORE = Path(".laneway") / "laneway.db"


def store_url(option: str | None, config: Config, env: Mapping[str, str]) -> str:
    """``--store``, else ``LANEWAY_STORE``, else ``.laneway/laneway.db`` beside the config (or in the current
    folder)."""
    return option or env.get("LANEWAY_STORE") or f"sqlite:///{(config.folder / DEFAULT_STORE).resolve()}"


def configured_store(option: str | None, config: Config, env: Mapping[str, str]) -> Store:
    """Open the store of this process, as its config wants it to be seen. Raises as ``open_store`` does."""
    store = open_store(store_url(option, config, env))
    if not config.hide_content:
        return store
    from laneway.app.hidden_store import hidden_store

    return hidden_store(store)


def open_store(url: str) -> Store:
    """Open the store of a URL. Raises ConfigError for an unknown kind, StoreError when it cannot be used."""
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        from laneway.store.sqlite import SQLiteStore

        return SQLiteStore(_sqlite_path(url))
    if parts.scheme in ("postgresql", "postgres"):
        return _postgres(url)
    raise ConfigError(
        f"the store {url!r} is of no known kind",
        hint="write sqlite:///path/to/laneway.db or postgresql://user@host/database",
    )


def _postgres(url: str) -> Store:
    with psycopg_needed():
        from laneway.store.postgres import PostgresStore
    return PostgresStore(url)


@contextmanager
def psycopg_needed() -> Iterator[None]:
    """Around imports of the PostgreSQL store."""
    try:
        yield
    except ImportError as error:
        raise ConfigError(
            f"the PostgreSQL store needs psycopg, which is not there ({error})",
            hint="pip install 'laneway[postgres]'",
        ) from error


def store_exists(url: str) -> bool:
    """Whether opening this store would find one rather than make one."""
    return urlsplit(url).scheme != "sqlite" or _sqlite_path(url).exists()


def sqlite_path(url: str) -> Path | None:
    """The file of a SQLite store, None for another kind. Raises ConfigError where it names none."""
    return _sqlite_path(url) if urlsplit(url).scheme == "sqlite" else None


def _sqlite_path(url: str) -> Path:
    """``sqlite:///relative`` and ``sqlite:////absolute``, as SQLAlchemy has it; an existing absolute path is taken as
    well."""
    path = unquote(url.removeprefix("sqlite://"))
    if not path.strip("/"):
        raise ConfigError(f"the store {url!r} names no file", hint="write sqlite:///folder/laneway.db")
    relative, absolute = Path(path.removeprefix("/")), Path(path)
    if path.startswith("//"):
        return Path("/", relative)
    known_root = len(absolute.parts) > 1 and Path(absolute.parts[0], absolute.parts[1]).is_dir()
    return absolute if known_root else relative
