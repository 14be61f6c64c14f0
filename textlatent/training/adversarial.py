"""Two players, top to bottom: a round is some updates of one and an update of the other, each with its own optimiser.

As in training/loop.py a round is fixed by (seed, round) alone: real sentences by the epoch's plan, noise by (seed,
round, update, sentence). Processes share both out, and their gradients are summed, so that the launch changes rounding
and nothing else. A gradient of None is a gradient of zero and is given to the optimiser as one: what then moves a
player is its optimiser (AdamW's decay of weights), and that is seen.
"""

import math
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from textlatent.corpus.batches import EncodedSplit, collate, plan_epoch, share
from textlatent.nats.montecarlo import mean_with_error
from textlatent.nats.noise import uniform
from textlatent.training.checkpoint import Checkpoints, recover_folder, write_folder
from textlatent.training.evaluate import evaluate
from textlatent.training.game import PLAYERS, AdversarialOptions, Game
from textlatent.training.journal import Journal
from textlatent.training.optimizer import seed_of, seed_torch
from textlatent.training.position import Position
from textlatent.training.signals import SIGTERM_EXIT, TrainingStopped, on_sigterm


class AdversarialTrainer:
    """One game; `fit` plays it.

    Args:
        game: the players.
        train: training sentences.
        valid: validation sentences.
        options: the numbers.
        folder: the run's folder.
        seed: decides order and noise.
        accelerator: processes and devices.
        progress: told of every event (main process only).
        sampler: returns texts to look at, given the model.
        pad_id: of the tokenizer.
    """

    def __init__(
        self,
        game: Game,
        *,
        train: EncodedSplit,
        valid: EncodedSplit,
        options: AdversarialOptions,
        folder: Path,
        seed: int,
        accelerator: Accelerator,
        progress: Callable[[dict[str, Any]], None] = lambda event: None,
        sampler: Callable[[Any], dict[str, list[str]]] | None = None,
        pad_id: int = 0,
    ) -> None:
        self.game = game
        self.train = train
        self.valid = valid
        self.options = options
        self.folder = folder
        self.seed = seed
        self.accelerator = accelerator
        self.sampler = sampler
        self.pad_id = pad_id
        self.position = Position()
        self.plan: tuple[int, list[Tensor]] = (-1, [])  # an epoch and its updates' sentences
        self.checkpoints = Checkpoints(folder / "checkpoints", keep=options.keep_checkpoints)
        self.journal = Journal(folder / "metrics.jsonl", accelerator=accelerator, progress=progress)
        self.terminated = threading.Event()
        self.optimizers: dict[str, torch.optim.AdamW] = {}

    def fit(self) -> Position:
        """Play to the last round, from the newest valid checkpoint if there is one.

        Raises:
            TrainingStopped: SIGTERM came; a checkpoint was written.
            FloatingPointError: a loss or gradient was not finite; nothing was updated with it.
            CheckpointError: a checkpoint could not be written.
        """
        resumed = self._resume()
        self.game.model.to(self.accelerator.device)
        self.optimizers = {name: self._optimizer(name) for name in PLAYERS}
        if resumed is not None:
            self.checkpoints.load_optimizer(resumed, model=self.game.model, optimizer=_Both(self.optimizers))  # type: ignore[arg-type]
        self.game.model.train()
        with on_sigterm(self.terminated):
            while self.position.step < self.options.steps:
                self._round()
                self._after_round()
                if self._total(float(self.terminated.is_set())):
                    self._stop()
        return self.position

    def _optimizer(self, name: str) -> torch.optim.AdamW:
        parameters = list(self.game.player(name).parameters())
        decayed = {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": self.options.weight_decay}
        others = {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0}
        return torch.optim.AdamW([group for group in (decayed, others) if group["params"]], betas=self.options.betas)

    # -------------------------------------------------------------------------------------------------------- a round

    def _round(self) -> None:
        """Some updates of the discriminator, one of the generator."""
        started, window = time.perf_counter(), self.position.window
        for update in range(self.options.discriminator_updates):
            told = self._update("discriminator", update, self._real())
            _add(window, {"discriminator_loss": told["loss"], "discriminator_norm": told["norm"], "updates": 1.0})
            _add(window, {"tokens": told["tokens"], "nll": told["nll"], "sentences": told["sentences"]})
        told = self._update("generator", self.options.discriminator_updates, None)
        _add(window, {"generator_cost": told["loss"], "generator_norm": told["norm"], "rounds": 1.0})
        seconds = time.perf_counter() - started
        _add(window, {"seconds": seconds})
        self.position.step, self.position.stage_step = self.position.step + 1, self.position.stage_step + 1
        self.position.seconds += seconds

    def _real(self) -> Tensor:
        """The next update's sentences, epoch after epoch."""
        position = self.position
        while True:
            if self.plan[0] != position.epoch:
                ones = torch.ones(len(self.train), dtype=torch.long)
                budget = self.options.sentences_per_step
                self.plan = (
                    position.epoch,
                    plan_epoch(ones, tokens_per_step=budget, seed=self.seed, epoch=position.epoch),
                )
            if position.epoch_step < len(self.plan[1]):
                position.epoch_step += 1
                return self.plan[1][position.epoch_step - 1]
            position.epoch, position.epoch_step = position.epoch + 1, 0

    def _update(self, name: str, number: int, sentences: Tensor | None) -> dict[str, float]:
        """One update of a player; its loss and its gradient's norm, and of real sentences their tokens and nats."""
        world, rank = self.accelerator.num_processes, self.accelerator.process_index
        place = (self.seed, self.position.step, number)
        seed_torch(seed_of(*place, rank))
        total = self.options.samples
        mine = share(torch.arange(total), parts=world, part=rank).to(self.accelerator.device)
        real, facts = self._batch(sentences, world, rank)

        def noise(shape: tuple[int, ...], stream: int) -> Tensor:
            return uniform(mine, seed=seed_of(*place), shape=shape, stream=stream)[0]

        shares = (facts.pop("share", 0.0), len(mine) / total)
        loss, value = self.game.loss(name, real, noise, shares=shares, reduce=self._sum, count=total)
        parameters = list(self.game.player(name).parameters())
        found = torch.autograd.grad(loss, parameters, allow_unused=True)
        gradients = [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, found, strict=True)]
        if world > 1:
            gradients = [self._sum(g) for g in gradients]
        told = {"loss": self._total(value), "norm": float(torch.nn.utils.get_total_norm(gradients)), **facts}
        self._must_be_finite(name, told)
        optimizer = self.optimizers[name]
        for group in optimizer.param_groups:
            group["lr"] = self._learning_rate(name)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return told

    def _batch(
        self, sentences: Tensor | None, world: int, rank: int
    ) -> tuple[dict[str, Tensor] | None, dict[str, float]]:
        """This process's share of an update's real sentences, and what the generator makes of them all."""
        if sentences is None:
            return None, {}
        mine = share(sentences, parts=world, part=rank)
        own, mine = len(mine), mine if len(mine) else sentences[:1]  # a part that is empty keeps in step, unweighed
        batch = collate(self.train, mine, pad_id=self.pad_id)
        real = {name: batch[name].to(self.accelerator.device) for name in ("tokens", "lengths", "index")}
        with torch.no_grad():
            nll = float(self.game.model(**real).distortion().sum())
        tokens = int(self.train.lengths[sentences].sum())
        self.position.tokens += tokens
        facts = {"tokens": float(tokens), "nll": self._total(nll if own else 0.0), "sentences": float(len(sentences))}
        return real, facts | {"share": own / len(sentences)}

    def _learning_rate(self, name: str) -> float:
        options = self.options
        peak = options.learning_rate if name == "generator" else options.discriminator_learning_rate
        done = self.position.step / options.steps
        if options.scheduler == "cosine":
            return peak * 0.5 * (1.0 + math.cos(math.pi * done))
        return peak * (1.0 - done) if options.scheduler == "linear" else peak

    def _must_be_finite(self, name: str, told: dict[str, float]) -> None:
        if math.isfinite(told["loss"]) and math.isfinite(told["norm"]):
            return
        saved = self.checkpoints.steps()
        raise FloatingPointError(
            f"the {name}'s loss or gradient stopped being a finite number in round {self.position.step + 1}; nothing "
            f"was updated with it. Newest checkpoint: {f'step-{saved[0]}' if saved else 'none yet'}. Begin again under "
            "another name, with a lower training.learning_rate or training.discriminator_learning_rate."
        )

    def _sum(self, tensor: Tensor) -> Tensor:
        return self.accelerator.reduce(tensor, reduction="sum") if self.accelerator.num_processes > 1 else tensor

    def _total(self, number: float) -> float:
        if self.accelerator.num_processes == 1:
            return number
        return float(self._sum(torch.tensor(number, dtype=torch.float64, device=self.accelerator.device)))

    # --------------------------------------------------------------------------------------------------- after a round

    def _after_round(self) -> None:
        """Log, validate, look at samples, save: each when it is due, all at the end."""
        position, options = self.position, self.options
        ended, better = position.step == options.steps, False
        if ended or position.step % options.validate_every == 0:
            better = self._validate()
        if ended or position.step % options.log_every == 0:
            self._log()
        if self.sampler and options.sample_every and (ended or position.step % options.sample_every == 0):
            if self.accelerator.is_main_process:
                self.journal.write({"event": "sample", "step": position.step, **self.sampler(self.game.model)})
        if ended or better or position.step % options.save_every == 0:
            self._save()
        if better:
            self._save_best()

    def _log(self) -> None:
        position, window = self.position, self.position.window
        rounds, updates = window["rounds"], window["updates"]
        self.journal.write(
            {
                "event": "log",
                "step": position.step,
                "steps": self.options.steps,
                "stage": "game",
                "epoch": position.epoch + position.epoch_step / len(self.plan[1]),
                "rate_nats": None,  # there is no z
                "distortion_nats": window["nll"] / window["sentences"],
                "generator_cost_nats": window["generator_cost"] / rounds,
                "generator_gradient_norm": window["generator_norm"] / rounds,
                "discriminator_loss_nats": window["discriminator_loss"] / updates,
                "discriminator_gradient_norm": window["discriminator_norm"] / updates,
                "learning_rate": self._learning_rate("generator"),
                "seconds": position.seconds,
                "tokens": position.tokens,
                "tokens_per_second": window["tokens"] / max(window["seconds"], 1e-9),
                "sentences_per_second": window["sentences"] / max(window["seconds"], 1e-9),
            }
        )
        position.window = {}

    def _validate(self) -> bool:
        """Held-out NLL of the validation sentences; whether this is the best so far."""
        scores = evaluate(
            self.game.model, self.valid, accelerator=self.accelerator, pad_id=self.pad_id, keep_latents=False
        )
        nll = mean_with_error(scores.distortion())
        better = self.position.best is None or nll.value < self.position.best
        if better:
            self.position.best, self.position.best_step = nll.value, self.position.step
        told = {"rate_nats": None, "distortion_nats": nll.value, "distortion_nats_se": nll.se, "best": better}
        self.journal.write({"event": "validate", "step": self.position.step, "stage": "game", **told})
        return better

    # -------------------------------------------------------------------------------------------- saving and resuming

    def _stop(self) -> None:
        self._save()
        self.journal.notes([f"SIGTERM: saved checkpoint step-{self.position.step}; the same command goes on from it."])
        raise TrainingStopped(SIGTERM_EXIT)

    def _save(self) -> None:
        if self.accelerator.is_main_process and self.position.step not in self.checkpoints.steps()[:1]:
            both: Any = _Both(self.optimizers)
            self.checkpoints.save(self.position.step, model=self.game.model, optimizer=both, state=vars(self.position))
        self.accelerator.wait_for_everyone()

    def _save_best(self) -> None:
        if self.accelerator.is_main_process:
            write_folder(self.folder / "best", self.game.model.save_pretrained)
        self.accelerator.wait_for_everyone()

    def _resume(self) -> int | None:
        """Stand where the newest valid checkpoint stood; its step, or None at the beginning."""
        notes = list[str]()
        if self.accelerator.is_main_process:
            recover_folder(self.folder / "best")
            step, notes = self.checkpoints.newest()
            self.journal.forget_after(step or 0)
        self.accelerator.wait_for_everyone()
        steps = self.checkpoints.steps()
        if not steps:
            self.journal.notes(notes)
            return None
        self.position = Position(**self.checkpoints.load_state(steps[0]))
        self.checkpoints.load_model(steps[0], self.game.model)
        if self.position.best_step == self.position.step:
            self._save_best()  # a kill may have come before it was written
        self.journal.notes([*notes, f"resumed from checkpoint step-{steps[0]}."])
        return steps[0]


class _Both:
    """Two optimisers, as a checkpoint keeps one."""

    def __init__(self, optimizers: dict[str, torch.optim.AdamW]) -> None:
        self.parts = tuple(optimizers[name] for name in PLAYERS)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return [group for part in self.parts for group in part.param_groups]

    @property
    def state(self) -> dict[Any, Any]:
        return {parameter: state for part in self.parts for parameter, state in part.state.items()}


def _add(window: dict[str, float], more: dict[str, float]) -> None:
    for key, value in more.items():
        window[key] = window.get(key, 0.0) + value
