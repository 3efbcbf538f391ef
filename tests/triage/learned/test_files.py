"""Model files: only numbers and JSON, within bounds, and a clear word for what is none."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from laneway.errors import ConfigError
from laneway.triage.learned import files

ARRAYS = {"weights": np.arange(6, dtype=np.float32).reshape(3, 2)}


def test_what_is_saved_is_loaded_and_has_the_same_name(tmp_path: Path) -> None:
    saved = files.save(tmp_path / "new" / "one.npz", "category", {"labels": ["a", "ü"]}, ARRAYS)
    loaded = files.load(tmp_path / "new" / "one.npz", "category")
    assert loaded.header["labels"] == ["a", "ü"]
    assert np.array_equal(loaded.arrays["weights"], ARRAYS["weights"])
    assert loaded.id == saved.id
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["one.npz"]


def test_the_same_content_gives_the_same_bytes_and_other_content_another_name(tmp_path: Path) -> None:
    one = files.save(tmp_path / "one.npz", "category", {}, ARRAYS)
    same = files.save(tmp_path / "same.npz", "category", {}, ARRAYS)
    other = files.save(tmp_path / "other.npz", "category", {}, {"weights": ARRAYS["weights"] + 1})
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "same.npz").read_bytes()
    assert one.id == same.id != other.id


def _of_pickle(path: Path) -> None:
    np.savez(path, header=np.array([{"kind": "category"}], dtype=object))


def _of_a_bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed, packed.open("a.npy", "w") as member:
        for _ in range(files.LARGEST_UNPACKED // 10_000_000 + 1):
            member.write(bytes(10_000_000))


def _of_words(path: Path) -> None:
    files.save(path, "category", {}, {"words": np.array(["a"])})


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda path: None, "there is no such file"),
        (lambda path: path.write_bytes(b""), "is no model file"),
        (lambda path: path.write_bytes(pickle.dumps({"a": 1})), "is no model file"),
        (lambda path: path.write_bytes(b"PK\x03\x04 broken"), "is no model file"),
        (_of_pickle, "is no model file"),
        (_of_words, "holds no numbers"),
        (lambda path: files.save(path, "urgency", {}, ARRAYS), "decides urgency, not category"),
        (lambda path: files.save(path, "category", {"format": 99}, ARRAYS), "format 99"),
        (_of_a_bomb, "unpacked"),
    ],
)
def test_what_is_none_is_named(make: Callable[[Path], object], told: str, tmp_path: Path) -> None:
    make(tmp_path / "one.npz")
    with pytest.raises(ConfigError, match=told) as refused:
        files.load(tmp_path / "one.npz", "category")
    assert "one.npz" in refused.value.message
    assert refused.value.hint
