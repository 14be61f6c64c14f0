"""The training loop, top to bottom: stages, steps, one optimiser update each, checkpoints that resume to the bit.

(A step of an aggressive stage has many updates: the encoder's alone, then one of the rest.)
A step is a set of sentences, fixed by (seed, epoch, step) alone; what happens on it is update.py's.
"""

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from textlatent.corpus.batches import Split, plan_epoch
from textlatent.scores import Scores
from textlatent.training import aggressive
from textlatent.training.best import judge
from textlatent.training.checkpoint import Checkpoints, recover_folder, write_folder
from textlatent.training.evaluate import evaluate
from textlatent.training.journal import Journal
from textlatent.training.optimizer import reinitialise, seed_of
from textlatent.training.options import Stage, TrainingOptions
from textlatent.training.position import Position
from textlatent.training.signals import SIGTERM_EXIT, TrainingStopped, on_sigterm
from textlatent.training.sums import Window
from textlatent.training.update import Updater
from textlatent.training.watch import alphabet_of, asked_rate, last_words, watch


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
        self.updater = Updater(
            model,
            train=train,
            options=options,
            seed=seed,
            accelerator=accelerator,
            pad_id=pad_id,
            saved=self.checkpoints.steps,
            terminated=self.terminated.is_set,
        )
        self.mean_sentences = self.updater.mean_sentences

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
        self.journal.notes(last_words(self.position, coded=alphabet_of(self.model) is not None))
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

        def restore(optimizer: Any) -> None:
            if resumed is not None:
                self.checkpoints.load_optimizer(resumed, model=self.model, optimizer=optimizer)

        if resumed is None:
            for part in stage.reset:
                reinitialise(self.model, part, seed=seed_of(self.seed, self.position.stage))
        self.updater.prepare(stage, restore=restore)
        if resumed is not None:
            stage.objective.load_state_dict(self.position.objective)

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
        """One optimiser update of the parts in `learn`: update.py."""
        return self.updater(stage, sentences, position=self.position, learn=learn, number=number)

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
        alphabet = alphabet_of(self.model)
        watched, notes = watch(self.position, scores, target_rate=asked_rate(stage.objective), alphabet=alphabet)
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
            self.checkpoints.save(self.position.step, model=self.model, optimizer=self.updater.optimizer, state=state)
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
