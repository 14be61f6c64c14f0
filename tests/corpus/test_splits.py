import hashlib

import numpy as np
import pytest
from datasets import Dataset

from textlatent.corpus.splits import content_sha256, digests, draw, duplicates, hash_split, overlap


def of(*texts):
    return digests(Dataset.from_dict({"text": list(texts)}))


def test_digest_is_blake2b_of_the_sentence():
    expected = hashlib.blake2b("é\n".encode(), digest_size=16).digest()
    assert of("a", "é\n")[1].tobytes() == expected


@pytest.mark.parametrize("fractions", [{"valid": 0.1, "test": 0.2}, {"test": 0.3}])
def test_fractions_within_binomial_error(fractions):
    count = 20_000
    cut = hash_split(of(*(f"sentence {i}" for i in range(count))), fractions=fractions, seed=0)
    assert np.array_equal(np.sort(np.concatenate(list(cut.values()))), np.arange(count))
    for split, share in fractions.items():
        assert abs(len(cut[split]) / count - share) < 4 * np.sqrt(share * (1 - share) / count)


def test_duplicates_never_cross_and_seeds_differ():
    texts = [f"sentence {i % 300}" for i in range(900)]
    cut = hash_split(of(*texts), fractions={"valid": 0.2, "test": 0.2}, seed=0)
    contents = [{texts[i] for i in positions} for positions in cut.values()]
    assert sum(map(len, contents)) == 300
    again = hash_split(of(*texts), fractions={"valid": 0.2, "test": 0.2}, seed=0)
    other = hash_split(of(*texts), fractions={"valid": 0.2, "test": 0.2}, seed=1)
    assert all(np.array_equal(cut[split], again[split]) for split in cut)
    common = len({texts[i] for i in cut["test"]} & {texts[i] for i in other["test"]})
    assert common < 30  # 12 expected of 300 if the two cuts are independent; all 60 or so if the seed did nothing


def test_overlap_counts_sentences_and_rows():
    assert overlap(of("a", "a", "b", "c", "b"), of("b", "a", "x", "b")) == (2, 4)
    assert overlap(of("a"), of("b")) == (0, 0)
    assert duplicates(of("a", "a", "b", "c", "b")) == 2


def test_sha256_sees_sentences_order_splits_labels_and_names():
    def sha(train=("a", "b"), valid=("c",), labels=(0, 1), names=("x", "y")):
        digest = {"train": of(*train), "valid": of(*valid), "test": of("d")}
        return content_sha256(digest, {"train": np.array(labels)}, names)

    versions = [
        sha(),
        sha(train=("b", "a")),
        sha(train=("a", "b", "c"), valid=("e",), labels=(0, 1, 1)),
        sha(labels=(1, 0)),
        sha(names=("x", "z")),
        sha(valid=("c ",)),
    ]
    assert len(set(versions)) == len(versions)
    assert sha() == versions[0]


def test_a_draw_is_sorted_nested_and_decided_by_the_seed():
    few, more = (draw(1000, sentences=n, seed=3) for n in (100, 250))
    assert len(few) == 100
    assert (np.diff(few) > 0).all()
    assert set(few.tolist()) < set(more.tolist())
    assert draw(1000, sentences=1000, seed=3).tolist() == list(range(1000))
    assert few.tolist() != draw(1000, sentences=100, seed=4).tolist()


def test_a_draw_prefers_no_position():
    """Each third of 30 positions gets a third of 10 draws: 2,000 seeds, within four standard errors."""
    counts = np.array([np.bincount(draw(30, sentences=10, seed=s) // 10, minlength=3) for s in range(2000)])
    error = counts.std(axis=0) / np.sqrt(len(counts))
    assert (abs(counts.mean(axis=0) - 10 / 3) < 4 * error).all()


@pytest.mark.parametrize("sentences", [0, 11])
def test_a_draw_of_more_than_there_are(sentences):
    with pytest.raises(ValueError, match=f"sentences must be between 1 and 10, all there are, got {sentences}"):
        draw(10, sentences=sentences, seed=0)
