"""From files to drafts, and what is said of lines that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laneway.config.models import Config
from laneway.errors import ConfigError, InputError
from laneway.intake.draft import BadLine, Draft
from laneway.intake.faults import Faults
from laneway.intake.options import ReadOptions
from laneway.intake.reading import open_reading
from laneway.task import Urgency

MESSAGE = {"role": "user", "content": "hello"}


def line(key: str = "a", **body: Any) -> str:
    made = {"model": "small", "messages": [MESSAGE], **body}
    return json.dumps({"custom_id": key, "method": "POST", "url": "/v1/chat/completions", "body": made})


def config(tmp_path: Path, **more: Any) -> Config:
    (tmp_path / "p.j2").write_text("Review: {{ text }}")
    data = {
        "accounts": {"main": {}},
        "models": {"small": {"account": "main", "id": "s"}},
        "lanes": {"legal": {}},
        "types": {"review": {"prompt": "p.j2", "max_output_tokens": 9}},
        "urgency": {"urgent": {"aliases": ["P1"]}},
    }
    return Config.model_validate({**data, **more, "folder": tmp_path})


def read(
    tmp_path: Path, text: str | bytes, name: str = "in.jsonl", conf: Config | None = None, **options: Any
) -> list[Draft | BadLine]:
    path = tmp_path / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    reading = open_reading(str(path), conf or config(tmp_path), ReadOptions(**options))
    try:
        return list(reading)
    finally:
        reading.close()


class TestRecords:
    def test_a_record_is_rendered_by_its_type(self, tmp_path: Path) -> None:
        record = {
            "id": 7,
            "text": "a claim",
            "urgency": "P1",
            "lane": "legal",
            "model": "iPhone",
            "tags": ["vip"],
            "deadline": "2026-01-01",
        }
        (draft,) = read(tmp_path, json.dumps(record), type="review")
        assert isinstance(draft, Draft)
        body = json.loads(draft.body)
        assert body == {"messages": [{"role": "user", "content": "Review: a claim"}], "max_tokens": 9}
        assert (draft.key, draft.text, draft.tags) == ("7", "a claim", ("vip",))
        assert (draft.pins.urgency, draft.pins.lane, draft.pins.model) == (Urgency.URGENT, "legal", None)
        assert draft.deadline == 1767225600.0
        assert json.loads(draft.record or b"") == record

    def test_the_type_may_stand_in_the_record(self, tmp_path: Path) -> None:
        conf = config(tmp_path, types={"review": {"prompt": "p.j2"}, "other": {"prompt": "p.j2"}})
        drafts = read(tmp_path, '{"type":"other","text":"x"}\n{"text":"x"}\n{"type":"none","text":"x"}', conf=conf)
        assert isinstance(drafts[0], Draft)
        assert drafts[0].spec.type == "other"
        assert "no task type" in drafts[1].reason  # type: ignore[union-attr]
        assert "no task type 'none'" in drafts[2].reason  # type: ignore[union-attr]

    def test_a_prompt_file_is_enough(self, tmp_path: Path) -> None:
        (tmp_path / "q.j2").write_text("Q: {{ question }}")
        (draft,) = read(tmp_path, '{"question":"why?"}', conf=Config(folder=tmp_path), prompt=tmp_path / "q.j2")
        assert isinstance(draft, Draft)
        assert json.loads(draft.body)["messages"][0]["content"] == "Q: why?"
        assert draft.spec.type == "q"

    def test_records_without_any_type_say_what_to_do(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="records need a task type") as caught:
            read(tmp_path, '{"text":"x"}', conf=Config(folder=tmp_path))
        assert "--prompt FILE" in caught.value.hint

    def test_bad_records_say_why(self, tmp_path: Path) -> None:
        bad = read(tmp_path, '{"txt":"x"}\n{"text":"x","urgency":"soon"}\n7', type="review")
        reasons = [b.reason for b in bad if isinstance(b, BadLine)]
        assert "{{ text }}, this record has: txt" in reasons[0]
        assert "'soon' is not an urgency" in reasons[1]
        assert reasons[2] == "not a JSON object"

    @given(st.lists(st.sampled_from("abc"), max_size=12), st.sampled_from("abc"), st.integers(0, 12))
    def test_rows_without_ids_keep_their_identity_when_others_come_or_go(
        self, rows: list[str], extra: str, at: int
    ) -> None:
        from tempfile import TemporaryDirectory

        with TemporaryDirectory() as folder:
            place = Path(folder)
            conf = config(place)

            def keys(texts: list[str]) -> list[str]:
                text = "".join(json.dumps({"text": one}) + "\n" for one in texts) + '{"text":"end"}'
                return [d.key for d in read(place, text, conf=conf, type="review") if isinstance(d, Draft)]

            before, after = keys(rows), keys([*rows[:at], extra, *rows[at:]])
            assert len(set(before)) == len(before)
            assert set(before) < set(after)
            assert len(after) == len(before) + 1

    def test_a_schema_that_is_none(self, tmp_path: Path) -> None:
        (tmp_path / "s.json").write_text('{"type": "objekt"}')
        conf = config(tmp_path, types={"review": {"prompt": "p.j2", "output": "s.json"}})
        with pytest.raises(ConfigError, match="not a JSON Schema"):
            read(tmp_path, '{"text":"x"}', conf=conf, type="review")


class TestInputs:
    @pytest.mark.parametrize(
        ("name", "content", "words"),
        [
            ("in.jsonl", b"", "is empty"),
            ("in.jsonl", b"hello world", "neither JSONL nor a table"),
            ("in.parquet", b"PAR1", "files of this kind are not read"),
        ],
    )
    def test_what_is_not_read_says_so(self, tmp_path: Path, name: str, content: bytes, words: str) -> None:
        with pytest.raises(InputError, match=words):
            read(tmp_path, content, name)

    def test_missing_files_and_empty_folders(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="there is no file"):
            open_reading(str(tmp_path / "x.jsonl"), Config(), ReadOptions())
        with pytest.raises(InputError, match="holds no files"):
            open_reading(str(tmp_path), Config(), ReadOptions())

    def test_a_broken_first_line_does_not_change_the_format(self, tmp_path: Path) -> None:
        bad, good = read(tmp_path, '{"nope\n' + line())
        assert isinstance(bad, BadLine)
        assert isinstance(good, Draft)

    def test_a_prompt_does_not_go_with_complete_requests(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match="complete requests"):
            read(tmp_path, line(), prompt=tmp_path / "p.j2")


def test_a_report_shows_the_first_twenty_and_counts_the_rest(tmp_path: Path) -> None:
    faults = Faults("in.jsonl")
    for number in range(1, 26):
        faults.add(BadLine(number, "bad", b"raw \xff"))
    report = faults.report()
    assert "25 lines cannot be used; nothing was sent" in report
    assert "line 20: bad" in report
    assert "line 21" not in report
    assert "… and 5 more" in report
    faults.write(tmp_path / "bad.jsonl")
    assert len((tmp_path / "bad.jsonl").read_text().splitlines()) == 25
