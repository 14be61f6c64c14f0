"""Rows of beginnings: merging keeps the total probability, the number and the entropy (the chain rule)."""

import numpy as np
import pytest

from textlatent.corpus.toy_beliefs import Beliefs, entropy_of_table

PRIOR = np.array([0.5, 0.3, 0.2])
TABLES = [
    {"a": np.array([0.2, 0.1, 0.6]), "b": np.array([0.4, 0.2, 0.4]), "c": np.array([0.4, 0.7, 0.0])},
    {"d": np.array([0.25, 0.25, 0.25]), "e": np.array([0.75, 0.75, 0.75])},
    {"f": np.array([1.0, 0.0, 0.5]), "g": np.array([0.0, 1.0, 0.5])},
]


def listed() -> np.ndarray:
    """P(beginning, class) of all 12 word sequences, those of probability 0 too."""
    joint = PRIOR[None]
    for table in TABLES:
        joint = np.concatenate([joint * row for row in table.values()])
    return joint


def test_entropy_of_a_table_by_hand() -> None:
    assert entropy_of_table(np.array([0.5, 0.0, 0.25, 0.25])) == pytest.approx(1.5 * np.log(2), abs=1e-15)
    assert entropy_of_table(np.array([0.0, 1.0])) == 0


def test_entropy_count_and_total_are_those_of_the_list() -> None:
    beliefs, joint = Beliefs.start(PRIOR).read_all(TABLES), listed()
    assert beliefs.entropy() == pytest.approx(entropy_of_table(joint.sum(1)), abs=1e-14)
    assert beliefs.count.sum() == (joint.sum(1) > 0).sum()
    np.testing.assert_allclose(beliefs.joint.sum(0), joint.sum(0), atol=1e-15)


def test_beginnings_of_one_posterior_are_one_row() -> None:
    """The words d and e tell nothing about the class, so that they leave one row for each word before them."""
    beliefs = Beliefs.start(PRIOR).read_all(TABLES[:2])
    assert sorted(beliefs.count) == [2, 2, 2]
    np.testing.assert_allclose(beliefs.within, entropy_of_table(np.array([0.25, 0.75])), atol=1e-15)


def test_no_two_rows_share_a_posterior() -> None:
    posterior = Beliefs.start(PRIOR).read_all(TABLES).joint
    posterior = posterior / posterior.sum(1, keepdims=True)
    distance = np.abs(posterior[:, None] - posterior[None]).max(-1) + np.eye(len(posterior))
    assert distance.min() > 1e-9


def test_an_impossible_class_is_never_merged_with_an_unlikely_one() -> None:
    table = {"a": np.array([1.0, 0.0]), "b": np.array([1.0, 1e-14])}
    beliefs = Beliefs.start(np.array([0.5, 0.5])).read_all([table])
    assert len(beliefs.joint) == 2
