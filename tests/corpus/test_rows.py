import json

import pytest

from textlatent.corpus.lines import Tally
from textlatent.corpus.rows import file_format, read_rows


def read(path, *, on_bad_row="error", column="text", label=None, format="auto"):
    tally = Tally(str(path), on_bad_row)
    table = read_rows(path, tally, format=file_format(path, format), column=column, label=label)
    return table.to_dict(), tally


def write(path, text):
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return path


def test_text_is_stripped_and_empty_lines_are_counted(tmp_path):
    columns, tally = read(write(tmp_path / "a.txt", " one two \r\n\n \t\nNA\n<s> null\n"))
    assert columns == {"text": ["one two", "NA", "<s> null"], "row": [1, 4, 5]}
    assert tally.empty == 2
    assert tally.notes() == [f"{tmp_path}/a.txt: 2 empty rows left out."]


def test_text_keeps_what_is_inside(tmp_path):
    text = "a\x00b\u2028c\x0cd\u2581e  f</s>"
    assert read(write(tmp_path / "a.txt", text + "\n"))[0]["text"] == [text]


def test_a_line_of_six_megabytes(tmp_path):
    text = "word " * 1_200_000
    assert read(write(tmp_path / "a.csv", f"text\n{text}\n"))[0]["text"] == [text.strip()]
    assert read(write(tmp_path / "a.txt", text))[0]["text"] == [text.strip()]


def test_jsonl_with_labels(tmp_path):
    rows = [{"body": " one\nline ", "kind": "a"}, {"kind": 3, "body": "two", "other": None}, {"body": "", "kind": "a"}]
    path = write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)) + "\n\n")
    columns, tally = read(path, column="body", label="kind")
    assert columns == {"text": ["one\nline", "two"], "row": [1, 2], "label": ["a", "3"]}
    assert tally.empty == 2


BAD_JSON = [
    ('{"text": "cut of', r":2: not a JSON object \(Unterminated string"),
    ('["text"]', r':2: each line must be one JSON object such as \{"text": "..."\}, got \["text"\]'),
    (
        '{"txt": "a", "label": "b"}',
        r":2: no column 'text' \(data\.column\) \(did you mean 'txt'\?\); the row has: txt, label",
    ),
    ('{"text": "a"}', r":2: no column 'label' \(data\.label\)"),
    ('{"text": 3, "label": "b"}', r":2: column 'text' must hold a string, got the number 3"),
    ('{"text": null, "label": "b"}', r":2: column 'text' must hold a string, got null"),
    ('{"text": ["a"], "label": "b"}', r":2: column 'text' must hold a string, got the array"),
    ('{"text": "a\\ud800b", "label": "b"}', r":2: character 2 is a lone surrogate \(\\ud800\)"),
    ('{"text": "a", "label": null}', r":2: the label is missing \(data\.label: label\)"),
    ('{"text": "a", "label": ""}', r":2: the label is missing"),
    ('{"text": "a", "label": true}', r":2: the label 'label' must be a string or an integer, got the boolean True"),
    ('{"text": "a", "label": 0.5}', r":2: the label 'label' must be a string or an integer, got the number 0\.5"),
    ("[" * 100_000, r":2: not a JSON object"),
    ('{"text": "a", "label": ' + "9" * 5000 + "}", r":2: not a JSON object"),
]


@pytest.mark.parametrize(("bad", "match"), BAD_JSON)
def test_bad_json_rows(tmp_path, bad, match):
    good = '{"text": "good", "label": "b"}'
    path = write(tmp_path / "a.jsonl", f"{good}\n{bad}\n{good}\n")
    with pytest.raises(ValueError, match=r"a\.jsonl" + match):
        read(path, label="label")
    columns, tally = read(path, label="label", on_bad_row="skip")
    assert columns["row"] == [1, 3]
    assert tally.skipped == 1
    assert f"{path}:2: " in tally.notes()[0]


def test_a_pair_of_surrogates_is_a_character(tmp_path):
    assert read(write(tmp_path / "a.jsonl", '{"text": "\\ud83d\\ude00"}'))[0]["text"] == ["\U0001f600"]


def test_csv_quotes_and_missing_value_words(tmp_path):
    text = 'id,text,label\r\n1,"a, ""b""\nc",x\r\n2,NA,null\r\n\r\n3,é,y\r\n'
    columns, tally = read(write(tmp_path / "a.csv", text), label="label")
    assert columns == {"text": ['a, "b"\nc', "NA", "é"], "row": [2, 4, 6], "label": ["x", "null", "y"]}
    assert tally.empty == 1


def test_tsv_takes_quotes_as_text(tmp_path):
    columns, _ = read(write(tmp_path / "a.tsv", 'text\tlabel\n"open\tx\nsaid "so"\ty\n'), label="label")
    assert columns == {"text": ['"open', 'said "so"'], "row": [2, 3], "label": ["x", "y"]}


@pytest.mark.parametrize(("column", "label"), [(1, 0), ("1", "0"), (1, "0")])
def test_positions_mean_no_header(tmp_path, column, label):
    columns, _ = read(write(tmp_path / "a.tsv", "news\tone two\nmail\tthree\n"), column=column, label=label)
    assert columns == {"text": ["one two", "three"], "row": [1, 2], "label": ["news", "mail"]}
    columns, _ = read(write(tmp_path / "a.csv", 'news,"one, two"\nmail,three\n'), column=column, label=label)
    assert columns["text"] == ["one, two", "three"]


BAD_FIELDS = [
    ("a.csv", "text,label\na,b\nc\n", {}, r"a\.csv:3: the row has 1 fields where the first row has 2"),
    ("a.csv", "text,label\na,b\nc,d,e\n", {}, r"a\.csv:3: the row has 3 fields where the first row has 2"),
    ("a.csv", 'text\n"a\nb\n', {}, r"a\.csv:2: not a CSV record \(unexpected end of data\)"),
    ("a.csv", "text,label\na,\n", {"label": "label"}, r"a\.csv:2: the label is missing"),
    ("a.tsv", "x\ta\nb\n", {"column": 1}, r"a\.tsv:2: the row has 1 fields where the first row has 2"),
]


@pytest.mark.parametrize(("name", "text", "options", "match"), BAD_FIELDS)
def test_bad_fields(tmp_path, name, text, options, match):
    with pytest.raises(ValueError, match=match):
        read(write(tmp_path / name, text), **options)


def test_bad_fields_can_be_skipped(tmp_path):
    columns, tally = read(write(tmp_path / "a.csv", "text,label\na,b\nc\nd,e\n"), on_bad_row="skip")
    assert columns == {"text": ["a", "d"], "row": [2, 4]}
    assert tally.skipped == 1


WRONG_COLUMNS = [
    (
        "a.csv",
        {"column": "text"},
        r"a\.csv:1: no column 'text' \(data\.column\).*there are: sentence, genre; if the file has no",
    ),
    ("a.csv", {"column": "sentense"}, r"no column 'sentense' \(data\.column\) \(did you mean 'sentence'\?\)"),
    ("a.csv", {"column": "sentence", "label": "gnre"}, r"no column 'gnre' \(data\.label\) \(did you mean 'genre'\?\)"),
    ("a.csv", {"column": 2}, r"no column '2' \(data\.column\); there are: 0, 1\."),
    ("a.csv", {"column": 1, "label": "genre"}, r"must both be names .* or both be positions"),
    ("a.txt", {"column": "sentence"}, r"a\.txt: a text file has one sentence a line and no columns.*data\.format"),
    ("a.txt", {"label": "genre"}, r"a text file has one sentence a line and no columns"),
]


@pytest.mark.parametrize(("name", "options", "match"), WRONG_COLUMNS)
def test_wrong_columns(tmp_path, name, options, match):
    with pytest.raises(ValueError, match=match):
        read(write(tmp_path / name, "sentence,genre\na,b\n"), on_bad_row="skip", **options)


def test_two_columns_of_one_name(tmp_path):
    with pytest.raises(ValueError, match=r"a\.csv:1: 2 columns are named 'text'; rename all but one"):
        read(write(tmp_path / "a.csv", "text,text\na,b\n"))


@pytest.mark.parametrize("text", ["", "\n\n", "\ufeff"])
def test_no_sentence(tmp_path, text):
    with pytest.raises(ValueError, match=r"a\.txt: it holds no sentence; give a file with at least one"):
        read(write(tmp_path / "a.txt", text))


def test_no_sentence_left_says_why(tmp_path):
    with pytest.raises(ValueError, match=r"holds no sentence.*2 bad rows skipped \(.*a\.jsonl:1: not a JSON object"):
        read(write(tmp_path / "a.jsonl", "hello\nworld\n"), on_bad_row="skip")


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("a.txt", "text"),
        ("a.JSONL", "jsonl"),
        ("a.json", "jsonl"),
        ("a.csv.gz", "csv"),
        ("a.tab", "tsv"),
        ("a.b.parquet", "parquet"),
    ],
)
def test_format_by_ending(tmp_path, name, format):
    assert file_format(tmp_path / name) == format
    assert file_format(tmp_path / name, "text") == "text"


def test_unknown_formats(tmp_path):
    with pytest.raises(
        ValueError, match=r"a\.docx: its ending '\.docx' names no known format .*set data\.format: text or"
    ):
        file_format(tmp_path / "a.docx")
    with pytest.raises(
        ValueError, match=r"data\.format of a file must be one of auto, text.*got 'jsn' \(did you mean 'jsonl'"
    ):
        file_format(tmp_path / "a.txt", "jsn")
