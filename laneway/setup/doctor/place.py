"""The place of a store: its file system, its space, who may read it."""

from __future__ import annotations

import os
import re
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from laneway.setup.doctor.findings import Finding, ok, problem, warning

# file systems whose locks other machines do not see, or that do not keep what was synced (SQLite, "How To Corrupt An
# SQLite Database File", 2.1; "Write-Ahead Logging": "does not work over a network filesystem")
SHARED = re.compile(
    r"nfs\d?|cifs|smb\d?|smbfs|afpfs|9p|virtiofs|ceph|glusterfs|lustre|gpfs|beegfs|ocfs2|gfs2|afs|davfs"
    r"|fuse\.(sshfs|s3fs|rclone|gcsfuse|glusterfs|ceph|davfs2?|goofys|smbnetfs|cifs)|fuse\.s3.*|vboxsf|prl_fs|drvfs"
)
LITTLE = 1_000_000_000  # bytes free
TOO_LITTLE = 100_000_000
MOUNTS = Path("/proc/mounts")


def examine_place(path: Path, mounts: Path = MOUNTS) -> Iterator[Finding]:
    """What a store's file, there or still to be made, can expect of its disk."""
    folder = next(parent for parent in path.parents if parent.is_dir())
    kind = file_system(folder, mounts)
    if kind and SHARED.fullmatch(kind):
        yield warning(
            "disk",
            f"the store lies on a network or shared file system ({kind}), where SQLite's locks and syncs cannot be"
            " relied on: tasks may be lost or paid twice",
            "put it on a local disk: --store sqlite:////var/lib/laneway/laneway.db, or LANEWAY_STORE",
        )
    free = shutil.disk_usage(folder).free
    said = f"{free / 1e9:,.1f} GB free" + (f" on {kind}" if kind else "")
    if free < TOO_LITTLE:
        yield problem("disk", said, "make room: without it answers that are paid cannot be written down")
    elif free < LITTLE:
        yield warning("disk", said, "make room before a long run")
    else:
        yield ok("disk", said)


def examine_modes(store: Path, config: Path | None) -> Iterator[Finding]:
    """Prompts and answers are nobody else's business; a config that others may change is theirs."""
    if os.name != "posix":
        return
    open_files = [file for file in _files(store) if _mode(file) & 0o077]
    if open_files:
        names = " ".join(str(file) for file in open_files)
        yield warning(
            "privacy",
            f"others on this machine may read {', '.join(file.name for file in open_files)} (prompts and answers)",
            f"chmod 600 {names}",
        )
    elif store.exists():
        yield ok("privacy", "the store can be read by its owner only")
    if config is not None and _mode(config) & 0o022:
        yield warning(
            "privacy",
            f"others may change {config.name}, which says where keys are sent and what code is run",
            f"chmod go-w {config}",
        )


def file_system(folder: Path, mounts: Path = MOUNTS) -> str:
    """The type of the file system that a folder lies on (``ext4``, ``nfs4``), "" where the system does not tell."""
    try:
        lines = mounts.read_text("utf-8", "replace").splitlines()
    except OSError:
        return ""
    here = folder.resolve()
    best: tuple[int, str] = (-1, "")
    for line in lines:
        fields = line.split()
        if len(fields) < 3:
            continue
        where = Path(re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), fields[1]))  # \040 is a space
        if here.is_relative_to(where) and len(where.parts) >= best[0]:  # of two on one place, the later is on top
            best = (len(where.parts), fields[2])
    return best[1]


def _files(store: Path) -> list[Path]:
    return [file for suffix in ("", "-wal", "-shm") if (file := store.with_name(store.name + suffix)).exists()]


def _mode(path: Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return 0
