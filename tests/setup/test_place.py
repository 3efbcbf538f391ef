"""Where a store lies, as the system's table of mounts has it."""

from __future__ import annotations

from pathlib import Path

import pytest

from laneway.setup.doctor.findings import Status
from laneway.setup.doctor.place import examine_modes, examine_place, file_system

TABLE = "/dev/sda1 / ext4 rw 0 0\nserver:/export {folder} {kind} rw 0 0\n"


def mounts(tmp_path: Path, folder: Path, kind: str) -> Path:
    table = tmp_path / "mounts"
    table.write_text(TABLE.format(folder=str(folder).replace(" ", "\\040"), kind=kind))
    return table


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "9p", "virtiofs", "fuse.s3fs"])
def test_a_store_on_a_share_is_warned_of(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "a share"
    folder.mkdir()
    first, *_ = examine_place(folder / ".laneway" / "laneway.db", mounts(tmp_path, folder, kind))
    assert first.status is Status.WARNING
    assert kind in first.said
    assert "local disk" in first.next


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "tmpfs", "overlay", "zfs", "fuse.mergerfs"])
def test_a_local_disk_is_not(tmp_path: Path, kind: str) -> None:
    findings = list(examine_place(tmp_path / "x.db", mounts(tmp_path, tmp_path, kind)))
    assert [finding.status for finding in findings] == [Status.OK]
    assert kind in findings[0].said


def test_the_innermost_mount_counts_and_of_two_on_one_place_the_later(tmp_path: Path) -> None:
    table = tmp_path / "mounts"
    table.write_text(f"a / ext4 rw\nb {tmp_path} nfs rw\nc {tmp_path} xfs rw\nd {tmp_path}/deeper/still cifs rw\n")
    assert file_system(tmp_path, table) == "xfs"
    assert file_system(tmp_path.parent, table) == "ext4"
    assert file_system(tmp_path, tmp_path / "no such table") == ""


def test_files_that_others_may_read(tmp_path: Path) -> None:
    store, config = tmp_path / "laneway.db", tmp_path / "laneway.toml"
    store.touch(0o600)
    config.touch()
    config.chmod(0o644)
    assert [finding.status for finding in examine_modes(store, config)] == [Status.OK]
    store.chmod(0o640)
    config.chmod(0o666)
    readable, changeable = examine_modes(store, config)
    assert readable.next == f"chmod 600 {store}"
    assert changeable.next == f"chmod go-w {config}"
