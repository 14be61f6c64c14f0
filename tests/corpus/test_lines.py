import gzip

import pytest

from textlatent.corpus.lines import Tally, nearest, read_lines


def lines(path, on_bad_row="error"):
    tally = Tally(str(path), on_bad_row)
    return list(read_lines(path, tally)), tally


def test_lines_end_at_newline_only(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes("one\u2028still one\x0cand\x00on\r\ntwo\n\nfour".encode())
    found, tally = lines(path)
    assert found == [(1, "one\u2028still one\x0cand\x00on\r\n"), (2, "two\n"), (3, "\n"), (4, "four")]
    assert tally.notes() == []


def test_bom_is_stripped_and_said(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfone\n\xef\xbb\xbftwo\n")
    found, tally = lines(path)
    assert found == [(1, "one\n"), (2, "\ufefftwo\n")]  # one within the text is text
    assert tally.notes() == [f"{path}: a byte order mark at the head of the file was stripped."]


def test_invalid_utf8_is_named_by_line_and_byte(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"good\ncaf\xe9 noir\nbad \xff\nlast\n")
    with pytest.raises(
        ValueError, match=r"a\.txt:2: byte 4 of the line \(0xe9\) is not valid UTF-8.*iconv.*on_bad_row: skip"
    ):
        lines(path)
    found, tally = lines(path, "skip")
    assert found == [(1, "good\n"), (4, "last\n")]
    assert tally.skipped == 2
    assert "2 bad rows skipped" in tally.notes()[0]
    assert f"{path}:2" in tally.notes()[0]


def test_utf16_is_named(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("hello\n", encoding="utf-16")
    with pytest.raises(ValueError, match=r"a\.txt:1: the file is UTF-16.*iconv -f utf-16"):
        lines(path)


def test_gz_is_unpacked(tmp_path):
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(b"one\ntwo\n"))
    assert lines(path)[0] == [(1, "one\n"), (2, "two\n")]


@pytest.mark.parametrize("damage", [lambda b: b[: len(b) // 2], lambda b: b"no gz at all"])
def test_damaged_gz_is_an_error_even_where_rows_may_be_skipped(tmp_path, damage):
    path = tmp_path / "a.txt.gz"
    path.write_bytes(damage(gzip.compress(bytes(range(256)).hex().encode() * 50)))
    with pytest.raises(ValueError, match=r"a\.txt\.gz: cannot be read .*whole, readable file"):
        lines(path, "skip")


def test_tally_shows_three_examples_and_counts_all():
    tally = Tally("f", "skip")
    for line in range(1, 6):
        tally.bad_row(line, "wrong")
    assert tally.notes() == ["f: 5 bad rows skipped (f:1: wrong; f:2: wrong; f:3: wrong; ...)."]


def test_unknown_rule():
    with pytest.raises(ValueError, match=r"data\.on_bad_row must be error or skip, got 'ignore'"):
        Tally("f", "ignore")


def test_nearest():
    assert nearest("sentense", ["label", "sentence"]) == " (did you mean 'sentence'?)"
    assert nearest("qqq", ["label", "sentence"]) == ""
