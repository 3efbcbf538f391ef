"""What every store keeps of who may ask the service, and of what they changed."""

from __future__ import annotations

from laneway.store.interface import Store
from laneway.store.tokens import Deed, Role, Token
from laneway.task import Urgency
from tests.store.conftest import OpenStore
from tests.store.helpers import NOW

LEGAL = Token("legal", b"\x00" * 32, Role.SUBMIT, "red", frozenset({"a", "b, c"}), Urgency.URGENT, 5.0, NOW)
PLAIN = Token("plain", b"\x01" * 32, Role.OPERATE, created_at=NOW)


class TestTokens:
    async def test_a_token_is_known_to_every_process_until_it_is_revoked(self, open_store: OpenStore) -> None:
        store, other = await open_store(), await open_store()
        assert await store.add_token(PLAIN)
        assert await store.add_token(LEGAL)
        assert await other.tokens() == [LEGAL, PLAIN]
        assert await other.revoke_token("legal", NOW + 5)
        assert await store.tokens() == [PLAIN]
        assert await store.tokens(revoked=True) == [LEGAL._replace(revoked_at=NOW + 5), PLAIN]
        assert not await store.revoke_token("legal", NOW + 6), "it was before"
        assert not await store.revoke_token("unknown", NOW)

    async def test_a_name_is_given_once(self, store: Store) -> None:
        await store.add_token(PLAIN)
        await store.revoke_token("plain", NOW)
        assert not await store.add_token(PLAIN._replace(digest=b"\x02" * 32))
        assert (await store.tokens(revoked=True))[0].digest == PLAIN.digest

    async def test_no_lanes_are_not_all_lanes(self, store: Store) -> None:
        none = PLAIN._replace(lanes=frozenset(), daily_budget=0.0, highest=Urgency.IMMEDIATE)
        await store.add_token(none)
        assert await store.tokens() == [none]


class TestAudit:
    async def test_deeds_are_told_newest_first_a_page_at_a_time(self, store: Store) -> None:
        for number in range(5):
            team = None if number % 2 else "red"
            await store.record(Deed(NOW + number, "ann", team, "lane.pause", f"l{number}", {"n": number}))
        first = await store.deeds(None, 2)
        assert [(deed.at, deed.what, deed.detail) for deed in first] == [
            (NOW + 4, "l4", {"n": 4}),
            (NOW + 3, "l3", {"n": 3}),
        ]
        assert [deed.what for deed in await store.deeds(first[-1].id, 9)] == ["l2", "l1", "l0"]
        assert [deed.what for deed in await store.deeds(None, 9, team="red")] == ["l4", "l2", "l0"]
        assert [deed.what for deed in await store.deeds(None, 9, team=None)] == ["l3", "l1"]
        assert (first[0].who, first[0].team, first[0].action) == ("ann", "red", "lane.pause")

    async def test_what_is_older_than_is_kept_is_forgotten_the_oldest_first(self, store: Store) -> None:
        for at in (1, 0, 2, 7, 3, 9):  # clocks of several machines
            await store.record(Deed(NOW + at, "ann", None, "lane.pause", str(at)))

        async def kept() -> list[str]:
            return [deed.what for deed in await store.deeds(None, 9)]

        assert await store.forget_deeds(NOW, 9) == 0, "not before its time"
        assert await store.forget_deeds(NOW + 5, 2) == 2
        assert await kept() == ["9", "3", "7", "2"]
        assert await store.forget_deeds(NOW + 5, 9) == 2
        assert await kept() == ["9", "7"]
