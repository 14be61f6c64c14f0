"""The game on a small toy corpus: who moves and who does not, resume to the bit, SIGTERM, shares of processes."""

import json
import random
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.processes import Processes, the_processes
from tests.toy_run import merged, write_toy
from textlatent.contrasts.game import BigramGame
from textlatent.corpus.batches import collate
from textlatent.recipe.bigram_gan import BigramGanRecipe
from textlatent.recipe.load import load_any, of_kind
from textlatent.run import build
from textlatent.run.bigram_gan_folder import Text, build_game, build_gan, build_options
from textlatent.run.corpus import build_corpus
from textlatent.training.adversarial import AdversarialTrainer
from textlatent.training.launch import launch
from textlatent.training.signals import TrainingStopped


def values(folder: Path, *changes: dict[str, Any], name: str = "gan") -> dict[str, Any]:
    path = folder / "corpus" / "sentences.tsv"
    if not path.exists():
        write_toy(path.parent)
    usual = {
        "kind": "bigram_gan",
        "name": name,
        "out": str(folder / "runs"),
        "data": {"path": str(path), "max_tokens": 14},
        "training": {"steps": 12, "sentences_per_step": 64, "samples": 32, "log_every": 1, "validate_every": 6},
    }
    return merged(usual, {"training": {"save_every": 4, "sample_every": 0}}, *changes)


def trainer(given: dict[str, Any], **more: Any) -> AdversarialTrainer:
    recipe = of_kind(load_any(given), BigramGanRecipe)
    corpus = build_corpus(recipe.data)
    reader: Any = recipe
    text = Text(recipe, corpus, build.build_tokenizer(reader, corpus))
    folder = Path(recipe.out) / recipe.name
    folder.mkdir(parents=True, exist_ok=True)
    return AdversarialTrainer(
        build_game(recipe, build_gan(recipe, text.tokenizer)),
        train=text.split("train"),
        valid=text.split("valid"),
        options=build_options(recipe),
        folder=folder,
        seed=recipe.seed,
        accelerator=launch(),
        **more,
    )


def inverse(**training: Any) -> dict[str, Any]:
    return {"model": {"generator": {"estimator": "inverse_cdf"}}, "training": training}


def _tables(made: AdversarialTrainer) -> list[Tensor]:
    return [p.detach().clone() for p in made.game.player("generator").parameters()]


def _few_words(folder: Path) -> Path:
    """Three hundred sentences of at most five of seven words."""
    dice, path = random.Random(0), folder / "few.txt"
    lines = [" ".join(dice.choices("a b c d e f g".split(), k=dice.randint(1, 5))) for _ in range(300)]
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.mark.parametrize("rounds", [20, pytest.param(1000, marks=pytest.mark.slow)])
def test_inverse_cdf_leaves_the_tables_to_the_bit(tmp_path: Path, rounds: int) -> None:
    every = {"log_every": rounds, "validate_every": rounds, "save_every": rounds}
    few = {"data": {"path": str(_few_words(tmp_path)), "max_tokens": 6}}
    made = trainer(values(tmp_path, few, inverse(steps=rounds, sentences_per_step=16, samples=16, **every)))
    with torch.no_grad():
        for parameter in made.game.player("generator").parameters():
            parameter.normal_()  # where a decay would show
    before, judge = _tables(made), [p.detach().clone() for p in made.game.player("discriminator").parameters()]
    assert made.fit().step == rounds
    assert all(torch.equal(a, b) for a, b in zip(before, _tables(made), strict=True))
    moved = [bool((a != b).any()) for a, b in zip(judge, made.game.player("discriminator").parameters(), strict=True)]
    assert moved == [True, True], "the other player learns"
    last = [each for each in _events(made.folder) if each["event"] == "log"][-1]
    assert last["generator_gradient_norm"] == 0.0
    assert last["discriminator_gradient_norm"] > 0.0


def test_a_decay_of_weights_moves_what_no_gradient_moves(tmp_path: Path) -> None:
    """AdamW's: the transitions shrink by 1 - lr * decay a round; the vector of first words is not decayed."""
    made = trainer(values(tmp_path, inverse(steps=3, weight_decay=0.5, learning_rate=0.1, scheduler="constant")))
    with torch.no_grad():
        for parameter in made.game.player("generator").parameters():
            parameter.normal_()
    start, transition = _tables(made)
    made.fit()
    after = _tables(made)
    assert torch.equal(after[0], start)
    torch.testing.assert_close(after[1], transition * (1 - 0.1 * 0.5) ** 3, rtol=1e-12, atol=0)


@pytest.mark.parametrize("estimator", ["leave_one_out", "exact", "rebar", "reinmax", "gumbel_softmax"])
def test_an_estimator_moves_them(tmp_path: Path, estimator: str) -> None:
    made = trainer(values(tmp_path, {"model": {"generator": {"estimator": estimator}}, "training": {"steps": 2}}))
    before = _tables(made)
    made.fit()
    assert all(bool((a != b).any()) for a, b in zip(before, _tables(made), strict=True))


def test_a_transformer_can_judge(tmp_path: Path) -> None:
    small = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    judge = {"type": "transformer", "config": small}
    made = trainer(values(tmp_path, {"model": {"discriminator": judge}, "training": {"steps": 3, "samples": 8}}))
    before = _tables(made)
    made.fit()
    assert bool((before[1] != _tables(made)[1]).any())


def _events(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_resumed_to_the_bit(tmp_path: Path) -> None:
    constant = {"model": {"generator": {"estimator": "constant"}}}  # its baseline must be resumed too
    whole = trainer(values(tmp_path, constant, {"training": {"scheduler": "constant"}}, name="whole"))
    whole.fit()
    for steps in (5, 12):
        given = values(tmp_path, constant, {"training": {"scheduler": "constant", "steps": steps}}, name="parts")
        parts = trainer(given)
        parts.fit()
    for a, b in zip(whole.game.model.state_dict().items(), parts.game.model.state_dict().items(), strict=True):
        assert torch.equal(a[1], b[1]), a[0]
    numbers = [
        [
            {k: v for k, v in each.items() if "second" not in k and k != "steps"}
            for each in _events(made.folder)
            if each["event"] == "log"
        ]
        for made in (whole, parts)
    ]
    assert numbers[0] == numbers[1]


def test_sigterm_saves_and_leaves(tmp_path: Path) -> None:
    notes: list[str] = []

    def watch(event: dict[str, Any]) -> None:
        if event["event"] == "log" and event["step"] == 3:
            signal.raise_signal(signal.SIGTERM)
        if event["event"] == "note":
            notes.append(event["text"])

    with pytest.raises(TrainingStopped) as stopped:
        trainer(values(tmp_path), progress=watch).fit()
    assert stopped.value.code == 143
    assert (tmp_path / "runs" / "gan" / "checkpoints" / "step-3").is_dir()
    assert notes == ["SIGTERM: saved checkpoint step-3; the same command goes on from it."]
    again = trainer(values(tmp_path), progress=watch)
    assert again.fit().step == 12
    assert notes[-1] == "resumed from checkpoint step-3."
    whole = trainer(values(tmp_path, name="whole"))
    whole.fit()
    for a, b in zip(whole.game.model.state_dict().values(), again.game.model.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_what_is_not_finite_stops_before_it_is_used(tmp_path: Path) -> None:
    made = trainer(values(tmp_path))
    with torch.no_grad():
        next(made.game.player("discriminator").parameters())[3:] = float("nan")
    before = _tables(made)
    with pytest.raises(FloatingPointError, match="the discriminator's loss or gradient stopped being a finite number"):
        made.fit()
    assert all(torch.equal(a, b) for a, b in zip(before, _tables(made), strict=True))


@pytest.mark.parametrize("estimator", ["leave_one_out", "reinforce", "constant", "exact"])
@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_two_shares_make_the_whole(tmp_path: Path, player: str, estimator: str) -> None:
    """As two processes would share an update: their parts' gradients add to the whole's."""
    made = trainer(values(tmp_path, {"model": {"generator": {"estimator": estimator}}}))
    game: BigramGame = made.game  # type: ignore[assignment]
    with torch.no_grad():
        for parameter in game.model.parameters():
            parameter.normal_()
    noise, rows = torch.rand(10, 14, dtype=torch.float64), torch.arange(7)
    baseline = game.model.baseline.clone()

    def gradient(written: Tensor, real: Tensor, reduce: Any) -> list[Tensor]:
        game.model.baseline.copy_(baseline)
        batch: Any = collate(made.train, real)
        shares = (len(real) / 7, len(written) / 10)
        loss, _ = game.loss(player, batch, lambda shape, stream: written, shares=shares, reduce=reduce, count=10)
        return list(torch.autograd.grad(loss, list(game.player(player).parameters())))

    totals: list[Tensor] = []
    whole = gradient(noise, rows, lambda total: totals.append(total) or total)
    parts = [gradient(noise[i::2], rows[i::2], lambda total: totals[0]) for i in (0, 1)]
    for wanted, *found in zip(whole, *parts, strict=True):
        torch.testing.assert_close(sum(found), wanted, rtol=1e-10, atol=1e-14)


@pytest.mark.slow
def test_two_processes_play_the_same_game(tmp_path: Path) -> None:
    """Not to the bit, for sums are rounded in another order."""
    processes: Processes = the_processes()
    for world in (1, 2):
        given = values(tmp_path, {"training": {"steps": 4}}, name=f"world-{world}")
        path = tmp_path / f"{world}.yaml"
        path.write_text(json.dumps(given))
        job = processes.start("tests.processes:train", str(path), world=world, folder=tmp_path / f"job-{world}")
        assert job.wait() == [0] * world, job.errors()
    ledgers = [json.loads((tmp_path / "runs" / f"world-{w}" / "ledger.json").read_text()) for w in (1, 2)]
    assert ledgers[0]["distortion_nats"]["value"] == pytest.approx(ledgers[1]["distortion_nats"]["value"], rel=1e-9)
