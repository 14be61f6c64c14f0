import pytest
import torch
from datasets import Dataset

from textlatent.corpus.batches import (
    collate,
    encode_split,
    evaluation_batches,
    mean_sentences_per_step,
    plan_epoch,
    share,
)
from textlatent.corpus.tokenizer import train_tokenizer


@pytest.fixture(scope="module")
def split(sentences):
    tokenizer = train_tokenizer(sentences, type="word")
    labels = [i % 5 for i in range(len(sentences))]
    return encode_split(Dataset.from_dict({"text": sentences, "label": labels}), tokenizer, max_tokens=100)


def padded(step, lengths):
    return len(step) * int(lengths[step].max())


def padding(steps, lengths):
    return 1 - int(lengths.sum()) / sum(padded(step, lengths) for step in steps)


def same(one, two):
    return len(one) == len(two) and all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


@pytest.mark.parametrize("tokens_per_step", [61, 500, 2000, 10**7])
def test_every_sentence_once_within_the_budget(split, tokens_per_step):
    steps = plan_epoch(split.lengths, tokens_per_step=tokens_per_step, seed=0, epoch=3)
    assert torch.equal(torch.cat(steps).sort().values, torch.arange(len(split)))
    assert max(padded(step, split.lengths) for step in steps) <= tokens_per_step
    assert all(len(step) for step in steps)


def test_a_longer_sentence_is_a_step_of_its_own():
    lengths = torch.tensor([3, 50, 2, 60, 3])
    steps = plan_epoch(lengths, tokens_per_step=10, seed=0, epoch=0)
    assert sorted(sorted(step.tolist()) for step in steps) == [[0, 2, 4], [1], [3]]


@pytest.mark.parametrize("tokens_per_step", [500, 1000, 2000])
def test_padding_is_below_five_percent(split, tokens_per_step):
    """Lengths spread like a newspaper's (1 to 60, mean 21), 64 000 tokens."""
    steps = plan_epoch(split.lengths, tokens_per_step=tokens_per_step, seed=0, epoch=0)
    assert padding(steps, split.lengths) < 0.05
    unsorted = torch.arange(len(split)).split(len(split) // len(steps))
    assert padding(unsorted, split.lengths) > 0.4  # the test can fail: this is what chance gives


def test_shares_of_a_step_stay_below_five_percent_too(split):
    steps = plan_epoch(split.lengths, tokens_per_step=1000, seed=0, epoch=0)
    shares = [share(step, parts=4, part=part) for step in steps for part in range(4)]
    assert padding([part for part in shares if len(part)], split.lengths) < 0.05


def test_steps_are_full(split):
    steps = plan_epoch(split.lengths, tokens_per_step=500, seed=0, epoch=0)
    assert len(steps) < 1.1 * int(split.lengths.sum()) / 500


def test_order_is_a_function_of_seed_and_epoch(split):
    plan = {(s, e): plan_epoch(split.lengths, tokens_per_step=800, seed=s, epoch=e) for s in (0, 1) for e in (0, 1)}
    for (seed, epoch), steps in plan.items():
        assert same(steps, plan_epoch(split.lengths, tokens_per_step=800, seed=seed, epoch=epoch))
        assert sum(same(steps, other) for other in plan.values()) == 1
    # other sentences meet in another epoch, it is not only the steps that are shuffled
    groups = {frozenset(step.tolist()) for step in plan[0, 0] if len(step) > 1}
    assert not groups & {frozenset(step.tolist()) for step in plan[0, 1]}


def test_order_does_not_depend_on_the_library_version():
    """The definition, so that a changed random stream is noticed: it would break every resumed run."""
    steps = plan_epoch(torch.tensor([4, 2, 3, 4, 2, 5, 3, 2]), tokens_per_step=8, seed=1, epoch=2)
    assert [step.tolist() for step in steps] == [[7, 1, 4], [2, 6], [3, 0], [5]]


def test_lengths_of_successive_steps_are_uncorrelated(split):
    steps = plan_epoch(split.lengths, tokens_per_step=300, seed=0, epoch=0)
    mean = torch.tensor([float(split.lengths[step].double().mean()) for step in steps])
    correlation = torch.corrcoef(torch.stack([mean[:-1], mean[1:]]))[0, 1]
    assert abs(correlation) < 4 / len(steps) ** 0.5


def test_mean_sentences_per_step(split):
    steps = plan_epoch(split.lengths, tokens_per_step=800, seed=5, epoch=0)
    mean = mean_sentences_per_step(split.lengths, tokens_per_step=800, seed=5)
    assert mean == sum(map(len, steps)) / len(steps)


def test_evaluation_batches(split):
    batches = evaluation_batches(split.lengths, tokens_per_batch=700)
    order = torch.cat(batches)
    assert torch.equal(order.sort().values, torch.arange(len(split)))
    assert (split.lengths[order].diff() >= 0).all()
    assert max(padded(batch, split.lengths) for batch in batches) <= 700
    assert [batch.tolist() for batch in evaluation_batches(torch.tensor([9, 1, 9]), tokens_per_batch=2)] == [
        [1],
        [0],
        [2],
    ]


def test_shares_are_interleaved_and_complete():
    step = torch.tensor([7, 8, 9, 10, 11])
    assert [share(step, parts=3, part=part).tolist() for part in range(3)] == [[7, 10], [8, 11], [9]]
    assert [share(step[:1], parts=3, part=part).tolist() for part in range(3)] == [[7], [], []]
    with pytest.raises(ValueError, match=r"part must be 0 <= part < parts, got part 3 of 3"):
        share(step, parts=3, part=3)


def test_collate(split, sentences):
    positions = torch.tensor([5, 0, 17])
    batch = collate(split, positions, pad_id=9999)
    longest = int(split.lengths[positions].max())
    assert batch["tokens"].shape == (3, longest)
    assert batch["tokens"].dtype == torch.int64
    for row, position in enumerate(positions.tolist()):
        begin, end = split.offsets[position], split.offsets[position + 1]
        n = int(end - begin)
        assert batch["tokens"][row].tolist() == split.tokens[begin:end].tolist() + [9999] * (longest - n)
        assert batch["tokens"][row, n - 1] == 2
        assert batch["lengths"][row] == n
    assert batch["index"].tolist() == [5, 0, 17]
    assert batch["label"].tolist() == [0, 0, 2]
    assert batch["words"].tolist() == [len(sentences[i].split()) for i in (5, 0, 17)]
    assert batch["characters"].tolist() == [len(sentences[i]) for i in (5, 0, 17)]


def test_collate_of_nothing(split):
    batch = collate(split, torch.tensor([], dtype=torch.long))
    assert batch["tokens"].shape == (0, 0)
    assert all(len(batch[key]) == 0 for key in ("lengths", "index", "words", "characters", "label"))


def test_faults():
    with pytest.raises(ValueError, match=r"there are no sentences to make batches of"):
        plan_epoch(torch.tensor([], dtype=torch.long), tokens_per_step=9, seed=0, epoch=0)
    with pytest.raises(ValueError, match=r"tokens_per_step must be >= 1, got 0"):
        plan_epoch(torch.tensor([1]), tokens_per_step=0, seed=0, epoch=0)
    with pytest.raises(ValueError, match=r"tokens_per_batch must be >= 1, got -1"):
        evaluation_batches(torch.tensor([1]), tokens_per_batch=-1)
