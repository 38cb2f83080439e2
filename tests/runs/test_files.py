import json
import os
from pathlib import Path

import pytest

from icl_vectors.runs.files import append_lines, read_lines, to_json, write_json, write_whole


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    file = tmp_path / "a.bin"
    write_whole(file, b"old and long")
    write_whole(file, b"new")
    assert file.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [file]


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "a.bin"
    write_whole(file, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(file, b"new")
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


def test_lines_that_do_not_fit_leave_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.jsonl"
    append_lines(file, ["old"])
    before, write = file.read_bytes(), os.write

    def nearly_full(descriptor: int, content: memoryview) -> int:
        if len(content) > 8:
            return write(descriptor, content[:8])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", nearly_full)
    with pytest.raises(OSError, match=r"No space left on device: .*a\.jsonl"):
        append_lines(file, ["new", "and longer than the disk"])
    assert file.read_bytes() == before


def test_a_reader_never_sees_a_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, seen = tmp_path / "a.bin", []
    write_whole(file, b"old")
    monkeypatch.setattr(os, "fsync", lambda descriptor: seen.append(file.read_bytes()))
    write_whole(file, b"new")
    assert seen == [b"old"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [1.0, float("-inf")]])
def test_nan_and_infinity_are_refused(tmp_path: Path, value: object) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        to_json(value)
    with pytest.raises(ValueError, match="JSON compliant"):
        append_lines(tmp_path / "a.jsonl", [1, value])
    assert not (tmp_path / "a.jsonl").exists()


def test_json_is_readable_text(tmp_path: Path) -> None:
    write_json(tmp_path / "a.json", {"arrow": "→"})
    text = (tmp_path / "a.json").read_text("utf-8")
    assert "→" in text and text.endswith("\n")
    assert json.loads(text) == {"arrow": "→"}


def test_lines_are_appended_and_read_in_order(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    assert read_lines(file) == []
    append_lines(file, [{"a": "x\ny"}, 2])
    append_lines(file, [])
    append_lines(file, (number for number in (3, 4)))
    assert read_lines(file) == [{"a": "x\ny"}, 2, 3, 4]


def test_a_torn_last_line_is_left_out_at_every_length(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    append_lines(file, [{"a": 1}, {"b": "→→"}])
    content = file.read_bytes()
    first = content.index(b"\n") + 1
    for length in range(first, len(content)):
        file.write_bytes(content[:length])
        assert read_lines(file) == [{"a": 1}]


def test_text_beyond_ascii_may_hold_other_line_separators(tmp_path: Path) -> None:
    append_lines(tmp_path / "a.jsonl", ["a\u2028b", "c\x85d"])
    assert read_lines(tmp_path / "a.jsonl") == ["a\u2028b", "c\x85d"]
