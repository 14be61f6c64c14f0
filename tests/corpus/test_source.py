import json
import time

import pytest

from textlatent.corpus.source import read_corpus, read_file, read_sentences, sorted_names
from textlatent.corpus.splits import SPLITS


def write_lines(path, lines):
    path.parent.mkdir(exist_ok=True, parents=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path):
    write_lines(tmp_path / "train.txt", [" a b ", "a b", "c", "", "d <unk>"])
    write_lines(tmp_path / "valid.txt", ["c", "e"])
    write_lines(tmp_path / "test.txt", ["c", "c", "e", "f"])
    return tmp_path


def test_a_folder(folder):
    corpus = read_corpus(folder)
    assert [corpus.train["text"][:], corpus.valid["text"][:]] == [["a b", "a b", "c", "d <unk>"], ["c", "e"]]
    assert corpus.train["row"][:] == [1, 2, 3, 5]
    assert corpus.train.column_names == ["text", "row"]
    assert corpus.label_names == ()
    assert corpus.source == str(folder)
    assert corpus.files == {split: f"{folder}/{split}.txt" for split in SPLITS}


def test_everything_is_counted_and_said(folder):
    corpus = read_corpus(folder)
    assert corpus.counts == {
        "empty": 1,
        "skipped": 0,
        "train": 4,
        "train_duplicates": 1,
        "valid": 2,
        "valid_duplicates": 0,
        "test": 4,
        "test_duplicates": 1,
        "valid_in_train": 1,
        "valid_rows_in_train": 1,
        "test_in_train": 1,
        "test_rows_in_train": 2,
        "test_in_valid": 2,
        "test_rows_in_valid": 3,
    }
    assert corpus.notes == [
        f"{folder}/train.txt: 1 empty row left out.",
        "train: 1 of 4 rows repeat an earlier one.",
        "test: 1 of 4 rows repeat an earlier one.",
        "valid: 1 different sentences also occur in train (1 of 2 rows of valid).",
        "test: 1 different sentences also occur in train (2 of 4 rows of test).",
        "test: 2 different sentences also occur in valid (3 of 4 rows of test).",
    ]


def test_one_file_becomes_three_splits(tmp_path, sentences):
    path = write_lines(tmp_path / "all.txt", sentences + sentences[:100])
    corpus = read_corpus(path, valid_fraction=0.2, test_fraction=0.1)
    texts = {split: list(getattr(corpus, split)["text"]) for split in SPLITS}
    assert sorted(sum(texts.values(), [])) == sorted(sentences + sentences[:100])
    assert [corpus.counts[f"{a}_in_{b}"] for a, b in (("valid", "train"), ("test", "train"), ("test", "valid"))] == [
        0,
        0,
        0,
    ]
    assert set(texts["valid"]).isdisjoint(texts["train"])
    assert set(texts["test"]).isdisjoint(texts["train"])
    assert corpus.counts["train_duplicates"] > 0
    assert (
        f"cut by a hash of the sentence, so that duplicates never cross: train {len(texts['train']):,}"
        in corpus.notes[0]
    )
    lines = (sentences + sentences[:100])[corpus.test["row"][5] - 1]
    assert lines == texts["test"][5]
    assert corpus.files == dict.fromkeys(SPLITS, str(path))


def test_the_same_file_gives_the_same_corpus(tmp_path, sentences):
    path = write_lines(tmp_path / "all.txt", sentences)
    one, two, other = read_corpus(path), read_corpus(path), read_corpus(path, split_seed=1)
    assert one.sha256 == two.sha256 != other.sha256
    assert one.test["text"][:] == two.test["text"][:]
    write_lines(path, [*sentences[:-1], "changed"])
    assert read_corpus(path).sha256 != one.sha256


def test_a_sentence_keeps_its_split_when_others_come(tmp_path, sentences):
    small = read_corpus(write_lines(tmp_path / "a.txt", sentences[:1000]))
    large = read_corpus(write_lines(tmp_path / "b.txt", sentences))
    assert set(small.test["text"]) <= set(large.test["text"])


def test_only_the_missing_splits_are_cut_off(tmp_path, sentences):
    train = write_lines(tmp_path / "train.txt", sentences)
    test = write_lines(tmp_path / "t.txt", ["one", "two"])
    corpus = read_corpus(train=train, test=test, valid_fraction=0.3)
    assert corpus.test["text"][:] == ["one", "two"]
    assert corpus.counts["train"] + corpus.counts["valid"] == len(sentences)
    assert 0.25 < corpus.counts["valid"] / len(sentences) < 0.35
    assert corpus.files == {"train": str(train), "valid": str(train), "test": str(test)}
    assert corpus.source == f"{train}, {test}"


def test_labels_are_numbered_by_the_training_splits_names(tmp_path):
    write_lines(tmp_path / "train.tsv", ["web\tone", "mail\ttwo", "web\tthree"])
    write_lines(tmp_path / "dev.tsv", ["mail\tfour", "news\tfive"])
    write_lines(tmp_path / "test.tsv", ["web\tsix"])
    corpus = read_corpus(tmp_path, column=1, label=0)
    assert corpus.label_names == ("mail", "web")
    assert [list(getattr(corpus, split)["label"]) for split in SPLITS] == [[1, 0, 1], [0, -1], [1]]
    assert "valid: 1 sentences have a label unknown in train (news): kept as unlabelled." in corpus.notes
    assert read_corpus(tmp_path, column="1").sha256 != corpus.sha256


def test_labels_stay_with_their_sentences_when_a_file_is_cut(tmp_path, sentences):
    rows = [json.dumps({"text": text, "label": len(text) % 11}) for text in sentences]
    corpus = read_corpus(write_lines(tmp_path / "a.jsonl", rows), label="label")
    assert corpus.label_names == tuple(map(str, range(11)))  # by value: 10 after 9
    for split in SPLITS:
        table = getattr(corpus, split)
        assert [len(text) % 11 for text in table["text"]] == list(table["label"])


def test_sorted_names():
    assert sorted_names(["10", "9", "-1"]) == ("-1", "9", "10")
    assert sorted_names(["b", "10", "9", "b"]) == ("10", "9", "b")


def test_skipped_rows_are_counted_over_all_files(tmp_path):
    for split in SPLITS:
        write_lines(tmp_path / f"{split}.jsonl", ['{"text": "a"}', "{", '{"text": ""}'])
    with pytest.raises(ValueError, match=r"train\.jsonl:2: not a JSON object"):
        read_corpus(tmp_path)
    corpus = read_corpus(tmp_path, on_bad_row="skip")
    assert (corpus.counts["skipped"], corpus.counts["empty"], corpus.counts["test"]) == (3, 3, 1)
    assert [note.split(": ", 1)[1][:17] for note in corpus.notes[:2]] == ["1 empty row left ", "1 bad row skipped"]


FAULTS = [
    ({"valid_fraction": 0.0}, r"data\.valid_fraction must be between 0 and 1, got 0\.0"),
    ({"test_fraction": 1.5}, r"data\.test_fraction must be between 0 and 1, got 1\.5"),
    ({"valid_fraction": 0.6, "test_fraction": 0.4}, r"must be < 1, got 0\.6 \+ 0\.4"),
    ({"config": "en"}, r"data\.config \('en'\) is for hub datasets"),
    ({"format": "txt"}, r"data\.format must be one of"),
    ({"on_bad_row": "ignore"}, r"data\.on_bad_row must be error or skip"),
    ({"label": "kind"}, r"a text file has one sentence a line and no columns"),
]


@pytest.mark.parametrize(("options", "match"), FAULTS)
def test_faults(folder, options, match):
    with pytest.raises(ValueError, match=match):
        read_corpus(folder, **options)


def test_an_empty_split(tmp_path):
    with pytest.raises(ValueError, match=r"a\.txt: the (train|valid|test) split is empty, as 2 sentences were cut by"):
        read_corpus(write_lines(tmp_path / "a.txt", ["one", "two"]))


def test_an_empty_file_among_three(folder):
    (folder / "valid.txt").write_text("\n\n")
    with pytest.raises(ValueError, match=r"valid\.txt: it holds no sentence.*2 empty rows left out"):
        read_corpus(folder)


def test_nothing_given_and_nothing_there(tmp_path):
    with pytest.raises(ValueError, match=r"no training text: set data\.path"):
        read_corpus()
    with pytest.raises(ValueError, match=r"data\.path .*missing\.txt does not exist"):
        read_corpus(tmp_path / "missing.txt")


def test_read_sentences_and_file(tmp_path):
    path = write_lines(tmp_path / "a.jsonl", ['{"s": " one ", "k": 2}', "", '{"s": "two", "k": "x"}'])
    note = f"{path}: 1 empty row left out."
    assert read_sentences(path, column="s", label="k") == (["one", "two"], ["2", "x"], [note])
    assert read_sentences(str(path), column="s") == (["one", "two"], None, [note])
    table, notes = read_file(path, column="s", label="k")
    assert (table["row"][:], notes) == ([1, 3], [note])
    with pytest.raises(ValueError, match=r"the file .*b\.jsonl does not exist \(did you mean 'a\.jsonl'\?\)"):
        read_sentences(tmp_path / "b.jsonl")
    with pytest.raises(ValueError, match=r"data\.format of a file must be one of .*got 'hub'"):
        read_sentences(path, format="hub")


def test_a_hundred_thousand_lines_take_seconds(tmp_path, sentences):
    path = write_lines(tmp_path / "a.txt", (f"{i} {sentences[i % len(sentences)]}" for i in range(100_000)))
    begin = time.process_time()
    corpus = read_corpus(path)
    assert sum(corpus.counts[split] for split in SPLITS) == 100_000
    assert time.process_time() - begin < 10  # under one second on a quiet core; a quadratic step would take minutes
