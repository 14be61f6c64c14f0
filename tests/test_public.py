"""The public names of the package and of textlatent.run, resolved on first use."""

import inspect
from types import ModuleType

import pytest

import textlatent
import textlatent.run


def test_every_public_name_is_there_and_described() -> None:
    for name in set(textlatent.__all__) - {"__version__"}:
        public = getattr(textlatent, name)
        assert not isinstance(public, ModuleType), name
        assert inspect.getdoc(public), name
    assert set(textlatent.__all__) <= set(dir(textlatent))


def test_every_verb_is_a_function_even_after_its_file_was_imported() -> None:
    import textlatent.run.train
    import textlatent.run.validate

    for name in textlatent.run.__all__:
        verb = getattr(textlatent.run, name)
        assert callable(verb), name
        assert inspect.getdoc(verb), name
    assert set(textlatent.run.__all__) <= set(dir(textlatent.run))


def test_an_unknown_name_is_an_error_that_lists_those_there_are() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'nothing'; its public names are read_corpus, "):
        textlatent.nothing  # noqa: B018
    with pytest.raises(AttributeError, match="has no verb 'nothing'; its verbs are train, evaluate, "):
        textlatent.run.nothing  # noqa: B018
