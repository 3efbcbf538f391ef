"""What every store keeps of the files that clients of the service send."""

from __future__ import annotations

from laneway.store.filing import Upload
from laneway.store.interface import Store
from laneway.store.teams import ALL
from tests.store.conftest import OpenStore
from tests.store.helpers import NOW


class TestUploads:
    async def test_a_file_is_seen_by_everybody_when_it_is_complete(self, open_store: OpenStore) -> None:
        store, other = await open_store(), await open_store()
        upload = Upload("file-1", "in.jsonl", "batch", 5, NOW, None)
        await store.begin_upload("file-1", NOW)
        await store.add_piece("file-1", 0, b"\x00ab")
        await store.add_piece("file-1", 1, b"cd")
        assert await other.find_upload("file-1") is None
        assert await other.uploads(None) == []
        await store.finish_upload(upload)
        assert await other.find_upload("file-1") == upload
        assert [await other.piece("file-1", number) for number in range(3)] == [b"\x00ab", b"cd", None]

    async def test_each_team_has_its_own_newest_first(self, store: Store) -> None:
        for number, team in enumerate([None, "red", None, "blue"]):
            await store.begin_upload(f"file-{number}", NOW + number)
            await store.finish_upload(Upload(f"file-{number}", "in", "batch", 0, NOW + number, team))
        assert [one.id for one in await store.uploads(None)] == ["file-2", "file-0"]
        assert [one.id for one in await store.uploads("red")] == ["file-1"]
        assert await store.uploads("green") == []
        assert [one.id for one in await store.uploads(ALL)] == ["file-3", "file-2", "file-1", "file-0"]

    async def test_what_is_dropped_or_never_came_whole_is_gone(self, store: Store) -> None:
        for name in ("file-a", "file-b", "file-c"):
            await store.begin_upload(name, NOW)
            await store.add_piece(name, 0, b"x")
        await store.finish_upload(Upload("file-a", "in", "batch", 1, NOW, None))
        await store.begin_upload("file-young", NOW + 100)
        assert await store.drop_uploads(NOW + 50, unfinished=True, dry=True) == 2
        assert await store.drop_uploads(NOW + 50, unfinished=True) == 2
        assert await store.piece("file-b", 0) is None
        assert await store.piece("file-a", 0) == b"x"
        assert await store.drop_upload("file-a")
        assert not await store.drop_upload("file-a")
        assert await store.piece("file-a", 0) is None
        assert await store.drop_upload("file-young"), "an upload that is broken off"

    async def test_old_ones_are_taken_away(self, store: Store) -> None:
        for number in range(3):
            await store.begin_upload(f"file-{number}", NOW + number)
            await store.finish_upload(Upload(f"file-{number}", "in", "batch", 0, NOW + number, None))
        assert await store.drop_uploads(NOW + 2) == 2
        assert [one.id for one in await store.uploads(None)] == ["file-2"]
