"""The training loop, top to bottom: stages, steps, one optimiser update each, checkpoints that resume to the bit.

(A step of an aggressive stage has many updates: the encoder's alone, then one of the rest.)
A step is a set of sentences, fixed by (seed, epoch, step) alone. Processes and accumulation parts share it out, so the
gradient is the same sum over the same sentences in every launch shape:

    loss = (beta * rate_sum + lam * distortion_sum) / N,    N the plan's mean number of sentences per step, a constant.

DDP averages gradients over processes; the loss is multiplied by their number, which makes the average that sum. Nothing
random outlives a step: dropout is seeded by (seed, stage, step, process, part), latent noise by the sentence.
"""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import torch
from accelerate import Accelerator
from torch import Tensor

from textlatent.corpus.batches import Split, collate, mean_sentences_per_step, plan_epoch, share
from textlatent.objective.objective import Objective, Terms
from textlatent.scores import Scores
from textlatent.training import aggressive
from textlatent.training.best import judge
from textlatent.training.checkpoint import Checkpoints, recover_folder, write_folder
from textlatent.training.evaluate import evaluate
from textlatent.training.finite import must_be_finite
from textlatent.training.journal import Journal
from textlatent.training.optimizer import build_optimizer, learning_rate_at, reinitialise, seed_of, seed_torch
from textlatent.training.options import PARTS, Stage, TrainingOptions
from textlatent.training.position import Position
from textlatent.training.reference import Reference
from textlatent.training.signals import SIGTERM_EXIT, TrainingStopped, on_sigterm
from textlatent.training.sums import Window, pack, unpack
from textlatent.training.watch import asked_rate, last_words, watch

_INPUTS = ("tokens", "lengths", "vectors", "index")
"""What of a batch the model needs to learn; the rest is counts."""


class Trainer:
    """One run of the loop; `fit` drives it.

    Args:
        model: maps a batch to Scores; has the parts encoder, prior and decoder.
        train: training sentences.
        valid: validation sentences.
        stages: what to learn, in order.
        options: the numbers.
        folder: the run's folder.
        seed: decides order, noise and dropout.
        accelerator: processes and devices.
        progress: told of every event (main process only).
        sampler: returns texts to look at, given the model: {"samples": [...], ...}.
        pad_id: of the tokenizer.
    """

    def __init__(
        self,
        model: Any,
        *,
        train: Split,
        valid: Split,
        stages: list[Stage],
        options: TrainingOptions,
        folder: Path,
        seed: int,
        accelerator: Accelerator,
        progress: Callable[[dict[str, Any]], None] = lambda event: None,
        sampler: Callable[[Any], dict[str, list[str]]] | None = None,
        pad_id: int = 0,
    ) -> None:
        self.model = model
        self.train = train
        self.valid = valid
        self.stages = stages
        self.options = options
        self.folder = folder
        self.seed = seed
        self.accelerator = accelerator
        self.sampler = sampler
        self.pad_id = pad_id
        self.position = Position()
        self.plan: list[Tensor] = []  # the epoch's steps
        self.checkpoints = Checkpoints(folder / "checkpoints", keep=options.keep_checkpoints)
        self.journal = Journal(folder / "metrics.jsonl", accelerator=accelerator, progress=progress)
        self.terminated = threading.Event()
        self.mean_sentences = mean_sentences_per_step(train.lengths, tokens_per_step=options.tokens_per_step, seed=seed)
        self.wrapped: Any = model
        self.reference: Reference | None = None
        self.optimizer: Any = None

    def fit(self) -> Position:
        """Train to the end of the last stage, from the newest valid checkpoint if there is one.

        Raises:
            TrainingStopped: SIGTERM came; a checkpoint was written.
            FloatingPointError: a loss or gradient was not finite; nothing was updated with it.
            CheckpointError: a checkpoint could not be written.
        """
        resumed = self._resume()
        with on_sigterm(self.terminated):
            self._run_stage(resumed)
            while self.position.stage + 1 < len(self.stages):
                self._next_stage()
                self._run_stage(None)
            late = torch.tensor(float(self.terminated.is_set()), device=self.accelerator.device)
            if self.accelerator.reduce(late, reduction="sum"):  # it came after the last step, to any process
                self._stop()
        self.journal.notes(last_words(self.position))
        return self.position

    # ------------------------------------------------------------------------------------------------------- a stage

    def _run_stage(self, resumed: int | None) -> None:
        """A stage from where the position stands to its last step."""
        position, stage, window = self.position, self.stages[self.position.stage], Window(self.position.window)
        self._prepare(stage, resumed)
        for sentences in self._steps(stage):
            started = time.perf_counter()
            sums = self._step(stage, sentences)
            seconds = time.perf_counter() - started
            position.advance(tokens=int(sums["tokens"] + sums["encoder_tokens"]), seconds=seconds)
            window.add(sums, seconds=seconds)
            self._after_step(stage, window)
            if sums["terminated"]:
                self._stop()

    def _prepare(self, stage: Stage, resumed: int | None) -> None:
        """Who learns, the optimiser, the wrapped model; a checkpoint's moments and weights of beta when resuming."""
        if resumed is None:
            for part in stage.reset:
                reinitialise(self.model, part, seed=seed_of(self.seed, self.position.stage))
        for part in PARTS:
            getattr(self.model, part).requires_grad_(part in stage.learn)
        self.model.to(self.accelerator.device)
        if self.accelerator.device.type == "cpu" and self.options.precision == "bf16":
            # Measured on sentences of 22 tokens: the fused kernel's backward pass takes 50 ms, plain products 6 ms.
            self.model.set_attn_implementation("eager")
        self.optimizer = build_optimizer(self.model, self.options)
        if resumed is not None:
            self.checkpoints.load_optimizer(resumed, model=self.model, optimizer=self.optimizer)
            stage.objective.load_state_dict(self.position.objective)
        self.wrapped = self.accelerator.prepare(self.model)
        self._calibrate()
        self.model.train()

    def _steps(self, stage: Stage) -> Iterator[Tensor]:
        """The stage's steps still to come, epoch after epoch: each a set of sentences, a function of the position."""
        position, budget = self.position, self.options.tokens_per_step
        while True:
            self.plan = plan_epoch(self.train.lengths, tokens_per_step=budget, seed=self.seed, epoch=position.epoch)
            while position.epoch_step < len(self.plan):
                if position.stage_step >= stage.steps or position.stopped_early:
                    return
                yield self.plan[position.epoch_step]
            position.epoch, position.epoch_step = position.epoch + 1, 0

    def _next_stage(self) -> None:
        self.position.next_stage()
        self._forget_best()

    # -------------------------------------------------------------------------------------------------------- a step

    def _step(self, stage: Stage, sentences: Tensor) -> dict[str, Any]:
        """A step on its sentences: one update of all that learns, or of the rest once the encoder has run ahead."""
        if not stage.aggressive or self.position.aggressive_over:
            return self._update(stage, sentences, learn=stage.learn) | {"encoder_updates": 0, "encoder_tokens": 0}
        words = (self.seed, self.position.stage, self.position.stage_step)

        def update(number: int) -> dict[str, Any]:
            chosen = aggressive.sentences_of(number, own=sentences, plan=self.plan, words=words)
            return self._update(stage, chosen, learn=("encoder",), number=number)

        ahead = aggressive.run_ahead(update, at_most=stage.encoder_updates, window=stage.encoder_window)
        rest = tuple(part for part in stage.learn if part != "encoder")
        sums = self._update(stage, sentences, learn=rest)
        return sums | {"encoder_updates": ahead.updates, "encoder_tokens": ahead.tokens}

    def _update(self, stage: Stage, sentences: Tensor, *, learn: tuple[str, ...], number: int = 0) -> dict[str, Any]:
        """One optimiser update of the parts in `learn`; the sentences' sums over all processes, nats.

        A `number` of 1 or more is an encoder-only update's: noise and dropout of its own, unseen by the objective's
        schedule, floor and target, which count steps.
        """
        options, world, rank = self.options, self.accelerator.num_processes, self.accelerator.process_index
        beta = stage.objective.beta(self.position.stage_step)
        place = (self.seed, self.position.stage, self.position.stage_step, *([number] if number else []))
        totals: list[Tensor] = []
        for part in range(options.accumulation):
            seed_torch(seed_of(*place, rank, part))
            mine = share(sentences, parts=world * options.accumulation, part=rank + part * world)
            with nullcontext() if part + 1 == options.accumulation else self.accelerator.no_sync(self.wrapped):
                noise = seed_of(*place) if number else self.seed
                terms, weight = self._forward(stage.objective, mine, sentences, noise=noise)
                self.accelerator.backward(terms.loss * (weight * world / self.mean_sentences))
            totals.append(pack(terms, weight=weight, terminated=self.terminated.is_set()))
        total = sum(totals[1:], totals[0])
        if world > 1:
            total = self.accelerator.reduce(total, reduction="sum")

        for held in set(PARTS) - set(learn):
            getattr(self.model, held).zero_grad(set_to_none=True)
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        if options.clip is not None:
            torch.nn.utils.clip_grads_with_norm_(parameters, options.clip, norm)
        sums = unpack(total, norm)
        must_be_finite(sums, step=self.position.step + 1, precision=options.precision, saved=self.checkpoints.steps)
        rate = learning_rate_at(self.position.stage_step, steps=stage.steps, options=options)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self._calibrate()
        if not number:
            stage.objective.observe(rate=sums["rate"], kl=sums["kl"], count=sums["count"])
        return sums | {"beta": beta, "learning_rate": rate}

    def _calibrate(self) -> None:
        """Tell a model that asks for it what its reference sentences look like at the weights as they now are."""
        if self.model.calibrates:
            self.reference = self.reference or Reference(
                self.train,
                seed=self.seed,
                tokens_per_batch=self.options.tokens_per_step,
                pad_id=self.pad_id,
                device=self.accelerator.device,
            )
            self.reference.calibrate(self.model, precision=self.options.precision)

    def _forward(self, objective: Objective, mine: Tensor, sentences: Tensor, *, noise: int) -> tuple[Terms, float]:
        """A part's sums, and its weight: 0 where the part is empty and only keeps the processes in step."""
        weight = 1.0 if len(mine) else 0.0
        batch = collate(self.train, mine if len(mine) else sentences[:1], pad_id=self.pad_id)
        device = self.accelerator.device
        tensors = cast(dict[str, Tensor], batch)
        inputs = {name: tensors[name].to(device, non_blocking=True) for name in _INPUTS if name in tensors}
        with torch.autocast(device.type, torch.bfloat16, enabled=self.options.precision == "bf16"):
            scores = self.wrapped(
                **inputs,
                seed=noise,
                epoch=self.position.epoch + 1,  # epoch 0 is evaluation's
                samples=objective.importance_samples,
                densities=objective.needs_densities,
            )
        return objective(scores, self.position.stage_step), weight

    # -------------------------------------------------------------------------------------------------- after a step

    def _after_step(self, stage: Stage, window: Window) -> None:
        """Log, validate, look at samples, save: each when it is due, all at the end of a stage."""
        position, options = self.position, self.options
        ended, better = position.stage_step == stage.steps, False
        if ended or position.step % options.validate_every == 0:
            better = self._validate(stage)
            ended = ended or position.stopped_early
        if stage.aggressive and not position.aggressive_over:
            if position.stage_step % (stage.information_every or options.validate_every) == 0:
                self._look(stage)
        if ended or position.step % options.log_every == 0:
            self._log(stage, window)
        if self.sampler and options.sample_every and (ended or position.step % options.sample_every == 0):
            if self.accelerator.is_main_process:
                self.journal.write({"event": "sample", "step": position.step, **self.sampler(self.model)})
            self.model.train()
        position.objective = stage.objective.state_dict()
        if ended or better or position.step % options.save_every == 0:
            self._save()
        if better:  # after its checkpoint, so that what is called best is never of steps that a kill has undone
            self._save_best()

    def _log(self, stage: Stage, window: Window) -> None:
        position = self.position
        self.journal.write(
            {
                "event": "log",
                "step": position.step,
                "steps": sum(each.steps for each in self.stages),
                "stage": stage.name,
                "epoch": position.epoch + position.epoch_step * self.mean_sentences / len(self.train),
                **window.close(aggressive=stage.aggressive),
                "seconds": position.seconds,
                "tokens": position.tokens,
            }
        )

    def _validate(self, stage: Stage) -> bool:
        """Rate and distortion of the validation sentences; whether this is the best so far."""
        scores = self._evaluate(samples=stage.objective.importance_samples)
        told = judge(self.position, stage.objective, scores, patience=self.options.patience)
        watched, notes = watch(self.position, scores, target_rate=asked_rate(stage.objective))
        self.journal.write({"event": "validate", "step": self.position.step, "stage": stage.name, **told, **watched})
        self.journal.notes(notes)
        return told["best"]

    def _look(self, stage: Stage) -> None:
        """Has the information fallen? Then the encoder no longer runs ahead."""
        scores = self._evaluate(positions=aggressive.spread(len(self.valid)))
        told, notes = aggressive.look(self.position, scores)
        self.journal.write({"event": "information", "step": self.position.step, "stage": stage.name, **told})
        self.journal.notes(notes)

    def _evaluate(self, **more: Any) -> Scores:
        """Scores of the validation sentences."""
        return evaluate(
            self.model,
            self.valid,
            accelerator=self.accelerator,
            seed=self.seed,
            tokens_per_batch=self.options.tokens_per_step,
            precision=self.options.precision,
            pad_id=self.pad_id,
            **more,
        )

    # ------------------------------------------------------------------------------------------- saving and resuming

    def _stop(self) -> None:
        """Leave after a SIGTERM."""
        self._save()
        self.journal.notes([f"SIGTERM: saved checkpoint step-{self.position.step}; the same command goes on from it."])
        raise TrainingStopped(SIGTERM_EXIT)

    def _save(self) -> None:
        if self.accelerator.is_main_process and self.position.step not in self.checkpoints.steps()[:1]:
            state = vars(self.position)
            self.checkpoints.save(self.position.step, model=self.model, optimizer=self.optimizer, state=state)
        self.accelerator.wait_for_everyone()

    def _save_best(self) -> None:
        if self.accelerator.is_main_process:
            write_folder(self.folder / "best", self.model.save_pretrained)
        self.accelerator.wait_for_everyone()

    def _forget_best(self) -> None:
        """What is called best is of this run and this stage."""
        if self.accelerator.is_main_process:
            shutil.rmtree(self.folder / "best", ignore_errors=True)

    def _resume(self) -> int | None:
        """Stand where the newest valid checkpoint stood; its step, or None at the beginning (of a run or a stage)."""
        step, notes = None, list[str]()
        if self.accelerator.is_main_process:
            recover_folder(self.folder / "best")
            step, notes = self.checkpoints.newest()
            self.journal.forget_after(step or 0)
        self.accelerator.wait_for_everyone()
        steps = self.checkpoints.steps()
        if not steps:
            self._forget_best()
            self.journal.notes(notes)
            return None
        self.position = Position(**self.checkpoints.load_state(steps[0]))
        self.checkpoints.load_model(steps[0], self.model)
        if self.position.best_step == self.position.step:
            self._save_best()  # a kill may have come before it was written
        self.journal.notes([*notes, f"resumed from checkpoint step-{steps[0]}."])
        ended = self.position.stopped_early or self.position.stage_step >= self.stages[self.position.stage].steps
        if ended and self.position.stage + 1 < len(self.stages):
            self._next_stage()
            return None
        return steps[0]
