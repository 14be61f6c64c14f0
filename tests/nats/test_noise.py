"""Noise that belongs to a sentence: what it depends on, what it does not, and that it is noise."""

import math
from itertools import combinations

import pytest
import torch
from torch import Tensor

from textlatent.nats import noise
from textlatent.nats.noise import LATENT, PRIOR_DRAW, WORD_DROPOUT, normal, uniform


def draw(index: Tensor | None = None, **changed: object) -> Tensor:
    arguments = {"seed": 0, "epoch": 0, "stream": LATENT, "shape": (3,), "samples": 4} | changed
    return uniform(torch.arange(5) if index is None else index, **arguments)


@pytest.mark.parametrize("make", [uniform, normal])
def test_a_sentence_has_its_noise_in_any_batch_and_any_chunk(make: object) -> None:
    index = torch.tensor([7, 0, 123_456_789_012, 3, 7])
    whole = make(index, seed=1, epoch=2, shape=(3, 2), stream=LATENT, samples=6)
    assert whole.shape == (6, 5, 3, 2)
    assert torch.equal(whole[:, 0], whole[:, 4])
    order = torch.tensor([3, 1, 0, 4, 2])
    assert torch.equal(make(index[order], seed=1, epoch=2, shape=(3, 2), stream=LATENT, samples=6), whole[:, order])
    for row in range(5):
        alone = make(index[row : row + 1], seed=1, epoch=2, shape=(3, 2), stream=LATENT, samples=6)
        assert torch.equal(alone[:, 0], whole[:, row])
    chunks = [
        make(index, seed=1, epoch=2, shape=(3, 2), stream=LATENT, samples=size, first_sample=first)
        for first, size in ((0, 1), (1, 3), (4, 2))
    ]
    assert torch.equal(torch.cat(chunks), whole)


def test_a_longer_shape_begins_with_the_same_numbers() -> None:
    """Word dropout of a padded row is that of the row alone."""
    assert torch.equal(draw(shape=(9,))[:, :, :3], draw(shape=(3,)))
    assert torch.equal(draw(shape=())[:, :], draw(shape=(3,))[:, :, 0])


def test_every_key_changes_every_number() -> None:
    """Of 60 numbers, none is shared between any two of: the base, and each of its keys changed by one."""
    variants = [
        draw(),
        draw(seed=1),
        draw(epoch=1),
        draw(stream=WORD_DROPOUT),
        draw(stream=PRIOR_DRAW),
        draw(first_sample=4),
        draw(torch.arange(5, 10)),
        draw(seed=-1),
        draw(seed=2**40),
    ]
    assert all(len(set(each.flatten().tolist())) == 60 for each in variants)
    for left, right in combinations(variants, 2):
        assert not set(left.flatten().tolist()) & set(right.flatten().tolist())


def test_seed_and_epoch_are_not_one_number() -> None:
    assert not torch.equal(draw(seed=1, epoch=0), draw(seed=0, epoch=1))
    assert not torch.equal(draw(epoch=0, stream=1), draw(epoch=1, stream=0))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.float16])
def test_the_ends_are_never_reached(dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch) -> None:
    """The words of 64 ones and 64 zeros give the largest and the smallest number there is."""
    for word in (-1, 0):
        monkeypatch.setattr(noise, "_mix", lambda x, word=word: torch.full_like(x, word))
        numbers = uniform(torch.arange(1), seed=0, shape=(1,), stream=LATENT, dtype=dtype)
        assert 0.0 < numbers.item() < 1.0
        assert torch.isfinite(normal(torch.arange(1), seed=0, shape=(1,))).all()


def test_uniform_moments_and_bins() -> None:
    """120,000 numbers: mean, variance, and the distribution function (Kolmogorov, level 1e-4)."""
    numbers = uniform(torch.arange(4000), seed=3, shape=(10,), stream=LATENT, samples=3).flatten()
    count = numbers.numel()
    assert abs(numbers.mean() - 1 / 2) < 4 * math.sqrt(1 / 12 / count)
    assert abs(numbers.var() - 1 / 12) < 4 * math.sqrt((1 / 80 - 1 / 144) / count)
    steps = torch.arange(1, count + 1, dtype=torch.float64) / count
    assert (numbers.sort().values - steps).abs().max() < 2.23 / math.sqrt(count)


def test_normal_moments() -> None:
    """Mean 0, variance 1 (se sqrt(2/n)), skewness 0 (sqrt(6/n)), kurtosis 3 (sqrt(24/n)), within 4 standard errors."""
    x = normal(torch.arange(4000), seed=3, shape=(10,), samples=3, dtype=torch.float64).flatten()
    count = x.numel()
    assert abs(x.mean()) < 4 / math.sqrt(count)
    assert abs(x.square().mean() - 1) < 4 * math.sqrt(2 / count)
    assert abs((x**3).mean()) < 4 * math.sqrt(15 / count)
    assert abs((x**4).mean() - 3) < 4 * math.sqrt(96 / count)


def test_numbers_are_independent_of_their_neighbours() -> None:
    """Correlation over 20,000 sentences between neighbours in sentence, sample, element, seed, epoch and stream."""
    count = 20_000
    index = torch.arange(count)

    def column(**changed: object) -> Tensor:
        arguments = {"seed": 0, "epoch": 0, "stream": LATENT, "shape": (2,), "samples": 2} | changed
        return normal(arguments.pop("index", index), dtype=torch.float64, **arguments)

    base = column()
    pairs = {
        "sample": base[1, :, 0],
        "element": base[0, :, 1],
        "sentence": column(index=index + 1)[0, :, 0],
        "seed": column(seed=1)[0, :, 0],
        "epoch": column(epoch=1)[0, :, 0],
        "stream": column(stream=WORD_DROPOUT)[0, :, 0],
    }
    own = base[0, :, 0]
    for name, other in pairs.items():
        assert abs((own * other).mean()) < 4 / math.sqrt(count), name
        assert abs(((own**2 - 1) * (other**2 - 1)).mean()) < 4 * 2 / math.sqrt(count), name


def test_sign_patterns_of_ten_dimensions_are_uniform() -> None:
    """Chi-square over the 1,024 sign patterns of 10 elements: mean 1023, sd sqrt(2046)."""
    x = normal(torch.arange(50_000), seed=5, shape=(10,))[0]
    pattern = ((x > 0).long() * 2 ** torch.arange(10)).sum(1)
    counts = torch.bincount(pattern, minlength=1024).double()
    expected = 50_000 / 1024
    chi_square = ((counts - expected) ** 2 / expected).sum()
    assert abs(chi_square - 1023) < 4 * math.sqrt(2046)


def test_dtype_and_shape() -> None:
    assert normal(torch.arange(2), seed=0, shape=(3,)).dtype == torch.float32
    assert draw(dtype=torch.float32).dtype == torch.float32
    torch.testing.assert_close(draw(dtype=torch.float32).double(), draw(), rtol=1e-7, atol=0)
    assert normal(torch.arange(0), seed=0, shape=(3,)).shape == (1, 0, 3)


def test_against_plain_integers() -> None:
    """The counters by Python's own integers modulo 2^64: seed, epoch, stream, sentence, sample, element."""

    def mix(x: int) -> int:
        x &= 2**64 - 1
        x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) % 2**64
        x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) % 2**64
        return x ^ (x >> 31)

    def number(*counters: int) -> float:
        word = 0
        for counter in (*counters[:4], (counters[4] << 32) + counters[5]):
            word = mix(word + (counter + 1) * 0x9E3779B97F4A7C15)
        return ((word >> 11) + 0.5) * 2.0**-53

    for seed, epoch, stream in ((0, 0, LATENT), (17, 3, WORD_DROPOUT), (2**63 - 1, 10**6, PRIOR_DRAW), (-5, 0, LATENT)):
        numbers = uniform(
            torch.tensor([0, 41, 2**40]), seed=seed, epoch=epoch, stream=stream, shape=(2,), samples=2, first_sample=9
        )
        for s, draw_number in enumerate((9, 10)):
            for b, sentence in enumerate((0, 41, 2**40)):
                for element in (0, 1):
                    expected = number(seed, epoch, stream, sentence, draw_number, element)
                    assert numbers[s, b, element].item() == expected
