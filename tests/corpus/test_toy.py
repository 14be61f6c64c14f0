"""The corpus in data/: drawn again to the byte, its README's figures computed again, its language recognised."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from textlatent.corpus.toy import english, language_of, main, write_corpus

DATA = Path(__file__).parents[2] / "data"


def test_the_corpus_is_drawn_again_to_the_byte(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(tmp_path / "made" / "here")])
    for name in ("sentences.tsv", "language.json"):
        again, kept = (tmp_path / "made" / "here" / name).read_bytes(), (DATA / "toy" / name).read_bytes()
        assert hashlib.sha256(again).hexdigest() == hashlib.sha256(kept).hexdigest()
    assert "20000 sentences of 13.5854 nats" in capsys.readouterr().out


def test_the_corpus_is_a_table_of_sentences_of_the_language() -> None:
    lines = (DATA / "toy" / "sentences.tsv").read_text().splitlines()
    header, rows = lines[0].split("\t"), [line.split("\t") for line in lines[1:]]
    assert header == ["text", "topic", "tense", "number", "mood"]
    assert len(rows) == 20_000
    language = english()
    for text, *labels in rows[::50]:
        at = tuple(list(values).index(label) for values, label in zip(language.factors.values(), labels, strict=True))
        assert language.class_posterior(text)[at] > 0


def test_the_readme_tells_the_figures() -> None:
    language, readme = english(), (DATA / "README.md").read_text()
    sentences = [line.split("\t")[0] for line in (DATA / "toy" / "sentences.tsv").read_text().splitlines()[1:]]
    told = [f"{language.information(factor):.4f}" for factor in (None, *language.factors)]
    told += [f"{language.entropy_of_class(factor):.4f}" for factor in (None, *language.factors)]
    told += [f"{language.entropy():.4f}", f"{language.support_size():,}", f"{len(set(sentences)):,}"]
    told += [f"{len(language.vocabulary)} words", f"{language.free_parameters()} free parameters", language.version]
    told += [hashlib.sha256((DATA / "toy" / "sentences.tsv").read_bytes()).hexdigest()]
    assert [figure for figure in told if figure not in readme] == []
    examples = [line.strip() for line in readme.splitlines() if line.startswith("    the ")]
    assert examples
    assert set(examples) <= set(sentences)


def test_from_a_shell(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "textlatent.corpus.toy",
        str(tmp_path),
        "--count",
        "30",
        "--seed",
        "5",
    ]
    done = subprocess.run(command, cwd=DATA.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    lines = (tmp_path / "sentences.tsv").read_text().splitlines()[1:]
    assert lines == ["\t".join([s.text, *s.labels.values()]) for s in english().sample(30, seed=5)]
    card = json.loads((tmp_path / "language.json").read_text())
    assert (card["sentences"], card["seed"]) == (30, 5)


def test_count_must_be_positive(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"count must be >= 1, got 0"):
        write_corpus(tmp_path, count=0)


@pytest.mark.parametrize("as_type", [str, Path])
def test_a_toy_corpus_is_recognised_by_file_and_by_folder(as_type: type) -> None:
    assert language_of(as_type(DATA / "toy")) is english()
    assert language_of(as_type(DATA / "toy" / "sentences.tsv")) is english()


def test_other_corpora_have_no_language(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text.txt").write_text("a b\n")
    assert language_of(tmp_path / "text.txt") is None
    (tmp_path / "language.json").write_text('["en"]')
    assert language_of(tmp_path / "text.txt") is None
    (tmp_path / "language.json").write_text('{"language": "en"}')
    assert language_of(tmp_path) is None
    monkeypatch.chdir(DATA / "toy")
    assert language_of("wikitext") is None  # the name of a hub data set, while a card lies in the working folder


def test_the_figures_in_the_card_are_not_believed(tmp_path: Path) -> None:
    card = json.loads((DATA / "toy" / "language.json").read_text())
    (tmp_path / "language.json").write_text(json.dumps(card | {"entropy_nats": 1.0}))
    language = language_of(tmp_path)
    assert language is not None
    assert language.entropy() == pytest.approx(13.5854, abs=1e-4)


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ("{", r"language.json must be JSON .*; remove it, or make the corpus again"),
        ('{"toy_language": "klingon"}', r"toy_language must be one of english, got 'klingon'"),
        ('{"toy_language": ["english"]}', r"toy_language must be one of english, got \['english'\]"),
        (
            '{"toy_language": "english", "version": "0"}',
            r"drawn from version 0 of english, .*python -m textlatent.corpus",
        ),
        ('{"toy_language": "english"}', r"drawn from version None of english"),
    ],
)
def test_a_faulty_card_is_refused(tmp_path: Path, card: str, message: str) -> None:
    (tmp_path / "language.json").write_text(card)
    with pytest.raises(ValueError, match=message):
        language_of(tmp_path)
