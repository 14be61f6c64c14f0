"""Corpora whose entropy is known: which language a corpus was drawn from, and how the one in data/ is made.

python -m textlatent.corpus.toy OUTPUT_FOLDER
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from textlatent.corpus.toy_english import english
from textlatent.corpus.toy_language import ToyLanguage, ToySentence

__all__ = ["ToyLanguage", "ToySentence", "english", "language_of", "main", "write_corpus"]

LANGUAGES = {"english": english}
CARD = "language.json"  # the file beside a corpus that names its language


def language_of(path: str | Path) -> ToyLanguage | None:
    """The language a corpus was drawn from, by the language.json beside it; None for any other corpus.

    Only the name is taken from the file: entropies and probabilities are computed from the grammar.

    Args:
        path: a corpus file or its folder; a name that is no path (of a hub data set) has no language.

    Raises:
        ValueError: language.json is damaged, or names a language or a version this package does not know.
    """
    path = Path(path)
    card = (path if path.is_dir() else path.parent) / CARD
    if not path.exists() or not card.is_file():
        return None
    try:
        content = json.loads(card.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{card} must be JSON ({error}); remove it, or make the corpus again.") from error
    if not isinstance(content, dict) or "toy_language" not in content:
        return None
    name, version = content["toy_language"], content.get("version")
    if name not in tuple(LANGUAGES):
        raise ValueError(f"{card}: toy_language must be one of {', '.join(LANGUAGES)}, got {name!r}.")
    language = LANGUAGES[name]()
    if version != language.version:
        raise ValueError(
            f"{card}: the corpus was drawn from version {version} of {name}, this package holds {language.version};"
            f" draw it again: python -m textlatent.corpus.toy {card.parent}"
        )
    return language


def write_corpus(folder: str | Path, *, count: int = 20_000, seed: int = 0) -> Path:
    """The TSV file of `count` sentences of the toy English and their labels, duplicates kept, language.json beside it.

    The same bytes on every machine.

    Raises:
        ValueError: count is below 1.
    """
    if count < 1:
        raise ValueError(f"count must be >= 1, got {count}.")
    folder, language = Path(folder), english()
    lines = ["\t".join(["text", *language.factors])]
    lines += ["\t".join([s.text, *s.labels.values()]) for s in language.sample(count, seed=seed)]
    content = "".join(line + "\n" for line in lines).encode()
    card = {
        "toy_language": language.name,
        "version": language.version,
        "sentences": count,
        "seed": seed,
        "sha256": hashlib.sha256(content).hexdigest(),
        "entropy_nats": round(language.entropy(), 9),
        "information_nats": {f or "class": round(language.information(f), 9) for f in (None, *language.factors)},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "sentences.tsv").write_bytes(content)
    (folder / CARD).write_bytes((json.dumps(card, indent=2) + "\n").encode())
    return folder / "sentences.tsv"


def main(arguments: Sequence[str] | None = None) -> None:
    """Draw the corpus of data/toy again, or one of another size or seed."""
    parser = argparse.ArgumentParser(prog="python -m textlatent.corpus.toy", description=main.__doc__)
    parser.add_argument("folder", metavar="OUTPUT_FOLDER", help="where sentences.tsv and language.json are written")
    parser.add_argument("--count", type=int, default=20_000, help="sentences to draw (20000)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the draw (0)")
    options = parser.parse_args(arguments)
    file = write_corpus(options.folder, count=options.count, seed=options.seed)
    sys.stdout.write(f"{file}: {options.count} sentences of {english().entropy():.4f} nats each\n")


if __name__ == "__main__":
    main()
