"""The corpus a recipe names, without torch."""

from textlatent.corpus.source import Corpus, read_corpus
from textlatent.recipe.data import Data
from textlatent.run.recipes import locate


def build_corpus(data: Data) -> Corpus:
    """The three splits a recipe names; a path below data/ that is not here is looked up in the data that come along.

    Raises:
        ValueError: what is wrong with the files, with file:line.
    """
    arguments = data.model_dump(exclude={"max_tokens", "too_long", "sentences"})
    for name in ("path", "train", "valid", "test"):
        if arguments[name] is not None:
            arguments[name] = locate(arguments[name])
    corpus = read_corpus(arguments.pop("path"), **arguments)
    if data.sentences is not None and data.sentences > len(corpus.train):
        raise ValueError(
            f"data.sentences must be <= {len(corpus.train):,}, the training sentences of {corpus.source}, got "
            f"{data.sentences:,}; null takes all of them."
        )
    return corpus
