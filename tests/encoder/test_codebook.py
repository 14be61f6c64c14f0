"""A codebook in training: rolling averages by hand, padding that is not there, processes that agree, revival."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.encoder.codebooks import CODES, SIZE, codebook, drawn, put, state, step_data, train
from tests.processes import the_processes
from textlatent.encoder.codebook import Codebook
from textlatent.encoder.kmeans import lloyd, nearest
from textlatent.gradient.codes import GRADIENT_RULES, CodeRule


def close(a: Any, b: Any, *, atol: float = 1e-12) -> None:
    torch.testing.assert_close(a, b, rtol=0, atol=atol)


def observe(book: Codebook, latents: Tensor, codes: Tensor) -> None:
    book.observe(latents, codes)
    book.settle()


# ------------------------------------------------------------------------------------------------- forward and gradient


@pytest.mark.parametrize("rule", GRADIENT_RULES)
def test_forward_is_the_nearest_code_and_its_gradients_are_the_rule_s(rule: str) -> None:
    """T7 through the search: L.grad and C[k].grad, the distortion's g drawn at random; a code not hit has none."""
    book, g = codebook(rule=rule), drawn(40, SIZE, seed=5)
    latents = (0.3 * drawn(40, SIZE) + 1.0).requires_grad_()
    found = book(latents)
    assert torch.equal(found.codes, nearest(latents, book.vectors))
    assert torch.equal(found.vectors, book.vectors[found.codes])
    assert torch.equal(book.look_up(found.codes), found.vectors)
    ((found.vectors * g).sum() + found.penalty.sum()).backward()
    apart, beta = (latents - found.vectors).detach(), 0.0 if rule == "end_to_end" else 0.5
    close(latents.grad, g + beta * apart)
    rows = {"end_to_end": g, "published": -apart, "both": g - 0.5 * apart}[rule]
    close(book.vectors.grad, torch.stack([rows[found.codes == k].sum(0) for k in range(CODES)]))
    unused = [k for k in range(CODES) if k not in found.codes]
    assert unused
    assert not book.vectors.grad[unused].any()


def test_forward_changes_nothing() -> None:
    book = codebook(decay=0.9, revive=0.1)
    before = state(book)
    book(drawn(40, SIZE))
    assert all(torch.equal(value, before[name]) for name, value in state(book).items())


def test_codes_of_codes_are_the_codes() -> None:
    book = codebook()
    every = torch.arange(CODES)
    assert torch.equal(book(book.look_up(every)).codes, every)


def test_under_autocast_codes_and_values_are_float32_s() -> None:
    book = codebook().float()
    latents = drawn(40, SIZE).float()
    plain = book(latents)
    with torch.autocast("cpu", torch.bfloat16):
        found = book(latents)
        half = book(latents.bfloat16())
    assert torch.equal(found.codes, plain.codes)
    assert torch.equal(found.penalty, plain.penalty)
    assert half.vectors.dtype == half.penalty.dtype == torch.float32


# -------------------------------------------------------------------------------------------------- the rolling average


@pytest.mark.parametrize("h", [0.0, 0.005, 0.05, 0.3, 0.49])
def test_a_gradient_step_of_size_h_is_a_rolling_average(h: float) -> None:
    """THEORY T8: e <- e - h d|L - e|^2/de = (1 - 2h) e + 2h L, n_k = 1: decay = 1 - 2h, over ten steps."""
    decay = 1.0 - 2.0 * h
    book = codebook(decay=decay) if h else codebook(decay=0.9999999999)
    stepped = book.vectors.clone()
    for step in range(10):
        latents = drawn(CODES, SIZE, seed=step)
        observe(book, latents, torch.arange(CODES))
        e = stepped.clone().requires_grad_()
        (latents - e).square().sum().backward()
        stepped = stepped - h * e.grad
        close(book.vectors, stepped, atol=1e-12 if h else 1e-8)
        assert torch.equal(book.counts, torch.ones(CODES, dtype=torch.float64))


def test_counts_and_sums_have_a_closed_form() -> None:
    """Fixed assignment: e_t = (g^t e_0 + (1 - g^t) n m) / (g^t + (1 - g^t) n), from (N, m) = (1, e_0)."""
    decay, book = 0.9, codebook(decay=0.9)
    start, latents, codes = book.vectors.clone(), drawn(40, SIZE), torch.arange(40) % CODES
    n = torch.bincount(codes, minlength=CODES).double()[:, None]
    mean = torch.stack([latents[codes == k].mean(0) for k in range(CODES)])
    for t in range(1, 30):
        observe(book, latents, codes)
        kept = decay**t
        close(book.vectors, (kept * start + (1 - kept) * n * mean) / (kept + (1 - kept) * n))
        close(book.counts, (kept + (1 - kept) * n).squeeze(1))


def test_decay_0_is_one_lloyd_step() -> None:
    book, latents = codebook(decay=0.0), drawn(200, SIZE)
    for _ in range(5):
        expected = lloyd(latents, book.vectors)
        observe(book, latents, book(latents).codes)
        close(book.vectors, expected)


def test_a_code_that_is_not_hit_keeps_vector_and_statistics_to_the_bit() -> None:
    """Two hundred steps; the hit ones move."""
    book = codebook(decay=0.9)
    latents, _ = step_data(0)
    codes = torch.arange(40) % 3  # 0, 1, 2
    observe(book, latents, codes)
    before = state(book)
    for step in range(200):
        observe(book, step_data(step)[0], codes % 2)  # 0, 1
    for name in ("vectors", "counts", "sums"):
        assert torch.equal(state(book)[name][2:], before[name][2:])
        assert not torch.equal(state(book)[name][0], before[name][0])


# -------------------------------------------------------------------------------------------------- padding


def masked_and_short(run: Callable[[Tensor], Any]) -> tuple[Any, Any]:
    """The same on sentences with NaN in their padding, gathered, and on the rows that are there."""
    mask = torch.rand(8, 5, generator=torch.Generator().manual_seed(3)) < 0.6
    whole = drawn(8, 5, SIZE, seed=4)
    padded = torch.where(mask[:, :, None], whole, torch.nan)
    rows = torch.cat([whole[b, :5][mask[b]] for b in range(8)])
    return run(padded[mask]), run(rows)


@pytest.mark.parametrize("decay", [None, 0.9])
def test_masked_is_physically_shorter(decay: float | None) -> None:
    """Gathered first, padding is not there: codes, penalty, gradients, statistics, usage, revival, start."""

    def run(latents: Tensor) -> dict[str, Tensor]:
        book = codebook(decay=decay, revive=0.5)
        book.initialise(latents, seed=0, iterations=2)
        latents = latents.clone().requires_grad_()
        for step in range(4):
            found = book(latents)
            draw = torch.rand(len(latents), generator=torch.Generator().manual_seed(step), dtype=torch.float64)
            book.observe(latents, found.codes, draw=draw)
            (found.vectors.square().sum() + found.penalty.sum()).backward()
            book.settle()
        grad = {} if book.vectors.grad is None else {"codes.grad": book.vectors.grad}
        perplexity = torch.special.entr(book.usage).sum().exp()
        return {
            **state(book), **grad, "latents.grad": latents.grad, "penalty": found.penalty, "perplexity": perplexity,
            "revived": book.revived,
        }  # fmt: skip

    padded, short = masked_and_short(run)
    for name, value in padded.items():
        assert value.isfinite().all(), name
        assert torch.equal(value, short[name]), name


# -------------------------------------------------------------------------------------------------- parts and processes


@pytest.mark.parametrize("decay", [None, 0.9])
@pytest.mark.parametrize("cut", [1, 7, 20])
def test_a_step_in_parts_is_the_step(decay: float | None, cut: int) -> None:
    """Unequal parts in another order: statistics, usage and who is revived where are those of the whole batch."""
    whole, parts = codebook(decay=decay, revive=0.3), codebook(decay=decay, revive=0.3)
    every = torch.arange(40)
    revived = train(whole, steps=25, parts=[every])
    assert revived > 0
    assert train(parts, steps=25, parts=[every[cut:], every[:cut]]) == revived
    for name, value in state(parts).items():
        close(value, state(whole)[name])


@pytest.mark.parametrize(("dtype", "atol"), [("float64", 1e-12), ("float32", 1e-6)])
@pytest.mark.parametrize("decay", [None, 0.9])
def test_two_processes_are_one_on_the_joined_batch(
    tmp_path: Path, dtype: str, atol: float, decay: float | None
) -> None:
    """Over gloo, with 7 and 33 vectors a process and 40 and 0 in the last step, revival included."""
    ranks = the_processes().run("tests.encoder.codebooks:rank", dtype, decay, world=2, folder=tmp_path)
    book = codebook(decay=decay, revive=0.3).to(getattr(torch, dtype))
    revived = train(book, steps=25, parts=[torch.arange(40)])
    train(book, steps=1, parts=[torch.arange(40)])
    assert revived > 0
    assert ranks[0] == ranks[1]
    assert ranks[0]["revived"] == revived
    for name, value in state(book).items():
        close(torch.tensor(ranks[0][name], dtype=value.dtype), value, atol=atol)


def test_a_step_that_saw_nothing_changes_nothing() -> None:
    book = codebook(decay=0.9, revive=0.5)
    before = state(book)
    book.settle()
    assert all(torch.equal(value, before[name]) for name, value in state(book).items())


# -------------------------------------------------------------------------------------------------- revival


@pytest.mark.parametrize("decay", [None, 0.9])
def test_a_revived_code_survives_its_step_with_the_state_of_a_new_one(decay: float | None) -> None:
    """A code far away dies; it is put on a vector of that very step, with N = 1, m = C[k], a fair share of usage."""
    book = codebook(decay=decay, revive=0.3)
    far = book.vectors.detach().clone()
    far[4] = 1e3
    put(book, far)
    for step in range(60):
        latents, draw = step_data(step)
        before = state(book)
        book.observe(latents, book(latents).codes, draw=draw)
        book.settle()
        assert book.revived is not None
        if book.revived[4]:
            break
        assert torch.equal(book.vectors[4], before["vectors"][4])
    else:
        pytest.fail("the code was not revived")
    assert (latents == book.vectors[4]).all(1).sum() == 1
    assert book.usage[4] == 1 / CODES
    if decay is not None:
        assert book.counts[4] == 1.0
        assert torch.equal(book.sums[4], book.vectors[4])
    after = book.vectors[4].clone()
    assert 4 in book(latents).codes  # it has one vector at least: its own
    book.observe(latents, book(latents).codes, draw=draw)
    book.settle()
    assert (book.vectors[4] - after).abs().max() < 1.0  # it moves among the vectors, not back


def test_the_threshold_is_a_fraction_of_the_fair_share() -> None:
    """A code at half of its fair share is dead at 0.6, alive at 0.4: for each K and any number of vectors."""
    for codes, count in ((4, 400), (4, 40_000), (50, 10_000)):
        share = torch.full((codes,), 1.0)
        share[0] = 0.5
        share[1] = 1.5
        chosen = torch.repeat_interleave(torch.arange(codes), (share * count / codes).long())
        for revive, dead in ((0.6, [0]), (0.4, [])):
            book = Codebook(codes, 1, rule=CodeRule(), revive=revive)
            for _ in range(-(-100 * codes // count)):
                book.observe(torch.zeros(len(chosen), 1), chosen, draw=torch.full((len(chosen),), 0.999))
                book.settle()  # all in one slot, so that there is no candidate
                assert not book.revived.any()
            assert book.dead().nonzero().flatten().tolist() == dead


def test_codes_in_fair_use_are_left_alone() -> None:
    """300 steps of 64 codes hit at random by 32 vectors each: none is revived at the default threshold."""
    book, generator = Codebook(64, 2, rule=CodeRule()), torch.Generator().manual_seed(0)
    for _ in range(300):
        codes = torch.randint(64, (32,), generator=generator)
        book.observe(drawn(32, 2).float(), codes, draw=torch.rand(32, generator=generator))
        book.settle()
        assert not book.revived.any()


def test_all_codes_come_alive_in_a_corner() -> None:
    """Codes that start far from the vectors: k-means with revival ends with all in use."""
    book = codebook(decay=0.9, revive=0.1)
    put(book, 10.0 + drawn(CODES, SIZE))
    train(book, steps=200, parts=[torch.arange(40)])
    latents = torch.cat([step_data(step)[0] for step in range(50)])
    assert torch.bincount(book(latents).codes, minlength=CODES).min() > 0.02 * len(latents)


def test_who_may_revive_is_drawn_evenly() -> None:
    """Of 30 vectors and 12 slots each is alone in one with chance 12/30 (29/30)^29: 4 standard errors of 600 steps."""
    book, seen = codebook(revive=0.3), torch.zeros(30)
    book.positions.fill_(30)
    latents = torch.arange(60, dtype=torch.float64).view(30, 2)
    for step in range(600):
        draw = torch.rand(30, generator=torch.Generator().manual_seed(step), dtype=torch.float64)
        fell, total = book._candidates(latents, draw)
        for row in total[fell == 1]:
            seen[(latents == row).all(1)] += 1
    chance = 12 / 30 * (29 / 30) ** 29
    assert ((seen / 600 - chance).abs() < 4 * (chance * (1 - chance) / 600) ** 0.5).all()


# -------------------------------------------------------------------------------------------- start, state, optimiser


def test_initialise_is_a_function_of_vectors_and_seed_and_starts_the_statistics() -> None:
    latents = drawn(300, SIZE, seed=1)
    first, again, other = (codebook(decay=0.9) for _ in range(3))
    first.initialise(latents, seed=0)
    again.initialise(latents, seed=0)
    other.initialise(latents, seed=1)
    assert torch.equal(first.vectors, again.vectors)
    assert not torch.equal(first.vectors, other.vectors)
    assert torch.equal(first.sums, first.vectors)
    assert torch.equal(first.counts, torch.ones(CODES, dtype=torch.float64))
    spread = (latents - first(latents).vectors).square().sum(1).mean()
    assert spread < 0.6 * (latents - codebook()(latents).vectors).square().sum(1).mean()


@pytest.mark.parametrize("decay", [None, 0.9])
def test_state_survives_save_and_load(decay: float | None) -> None:
    """Loaded in the middle, training goes on as if nothing had been: to the bit."""
    book = codebook(decay=decay, revive=0.3)
    train(book, steps=10, parts=[torch.arange(40)])
    loaded = codebook(decay=decay, revive=0.3)
    loaded.load_state_dict(copy.deepcopy(book.state_dict()))
    for each in (book, loaded):
        train(each, steps=25, parts=[torch.arange(40)])
    assert all(torch.equal(value, state(loaded)[name]) for name, value in state(book).items())


def one_update(optimizer: torch.optim.Optimizer, book: Codebook, *, weight: float = 1.0) -> Tensor:
    """How the codes moved in a step on the vectors of step 0."""
    before = book.vectors.detach().clone()
    (weight * book(step_data(0)[0]).penalty.sum()).backward()
    optimizer.step()
    optimizer.zero_grad()
    return book.vectors.detach() - before


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.Adam])
def test_eta_is_a_factor_of_the_learning_rate(kind: type[torch.optim.Optimizer]) -> None:
    """A step is ten times as long under both; as a factor of the gradient, Adam would cancel it."""
    moved = {}
    for eta in (1.0, 10.0):
        book = codebook(codebook_lr_factor=eta)
        moved[eta] = one_update(kind(book.row_parameters(), lr=1e-4 * book.codebook_lr_factor), book)
    close(moved[10.0], 10.0 * moved[1.0])
    assert moved[1.0].any()
    book = codebook()
    weighed = one_update(kind(book.row_parameters(), lr=1e-4), book, weight=10.0)
    cancelled = (weighed - moved[1.0]).abs().max() < 1e-9
    assert cancelled if kind is torch.optim.Adam else not cancelled


def test_under_sgd_rows_that_were_not_hit_stay_to_the_bit() -> None:
    """Without momentum and decay; under Adam a code moves on after it was hit."""
    still = {}
    for kind in (torch.optim.SGD, torch.optim.Adam):
        book = codebook()
        optimizer = kind(book.row_parameters(), lr=1e-3)
        one_update(optimizer, book)
        before = book.vectors.detach().clone()
        book(before[[5]] + 0.01).penalty.sum().backward()
        optimizer.step()
        still[kind] = [k for k in range(CODES) if torch.equal(book.vectors[k], before[k])]
    assert still[torch.optim.SGD] == [0, 1, 2, 3, 4]
    assert len(still[torch.optim.Adam]) < 5


def test_a_rolling_codebook_has_no_parameters() -> None:
    assert codebook(decay=0.9).row_parameters() == list(codebook(decay=0.9).parameters()) == []
    assert [p.shape for p in codebook().row_parameters()] == [(CODES, SIZE)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"codes": 0}, "at least one code of one component, got 0 of 2"),
        ({"size": 0}, "at least one code of one component, got 4 of 0"),
        ({"decay": 1.0, "rolling": True}, r"decay must be in \[0, 1\), got 1.0; leave it out"),
        ({"decay": 0.9}, "the rule moves the codes by a gradient and decay is 0.9"),
        ({"rolling": True}, "the rule moves the codes by a rolling average and decay is None"),
        ({"decay": 0.9, "rolling": True, "codebook_lr_factor": 2.0}, "a rolling average has none; leave it out"),
        ({"codebook_lr_factor": 0.0}, "codebook_lr_factor must be > 0, got 0.0"),
        ({"revive": 1.0}, r"revive must be in \(0, 1\), a fraction of the fair share, got 1.0"),
    ],
)
def test_a_codebook_that_means_nothing_is_refused(arguments: dict[str, Any], message: str) -> None:
    arguments = {"codes": 4, "size": 2, **arguments}
    rule = CodeRule(rolling=arguments.pop("rolling", False))
    with pytest.raises(ValueError, match=message):
        Codebook(arguments.pop("codes"), arguments.pop("size"), rule=rule, **arguments)


def test_revival_needs_a_draw() -> None:
    with pytest.raises(ValueError, match="observe needs a draw for each vector to revive codes"):
        codebook(revive=0.1).observe(drawn(3, SIZE), torch.arange(3))
