"""EM: the exact posterior, then the tables that fit it best, in turn; -ELBO never rises (THEORY T12).

Several starts, each to its own end; the best is kept and all are told. Every iteration is a function of the tables, so
a checkpoint holds the tables and where it stood, and a killed run goes on to the same numbers. Processes share the
sentences out and add their statistics up.
"""

import json
import math
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from safetensors.torch import load_file, save_file
from torch import Tensor

from textlatent.corpus.batches import EncodedSplit
from textlatent.training.alternation import Alternation, EMOptions, Standing, line_of
from textlatent.training.checkpoint import Checkpoints, write_folder
from textlatent.training.journal import Journal
from textlatent.training.optimizer import seed_of
from textlatent.training.signals import SIGTERM_EXIT, TrainingStopped, on_sigterm

SYMMETRIC = 1e-10
"""A rate, nats per sentence, below which the classes tell nothing of the sentences: EM stays there."""
EMPTY = 0.5
"""Expected sentences (or words) below which a class is called empty."""
ROUNDING = 1e-9
"""By how much an objective may fall, nats per sentence, before it is said aloud."""


class EM:
    """One run of EM; `fit` drives it and leaves the best start's tables in the model.

    Args:
        model: whose tables they are; saved and loaded whole.
        parts: its two halves.
        train: the sentences.
        options: the numbers.
        folder: the run's folder.
        seed: decides the starts.
        accelerator: processes and devices.
        progress: told of every event (main process only).
        judge: the validation's -ln P(y), nats per sentence, of the model as it is; told with each start.
        weight: of each training sentence; 1 if not given.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        parts: Alternation,
        *,
        train: EncodedSplit,
        options: EMOptions,
        folder: Path,
        seed: int,
        accelerator: Accelerator,
        progress: Callable[[dict[str, Any]], None] = lambda event: None,
        judge: Callable[[], float] | None = None,
        weight: Tensor | None = None,
    ) -> None:
        self.model = model.to(accelerator.device)
        self.parts = parts
        self.options = options
        self.seed = seed
        self.accelerator = accelerator
        self.judge = judge
        self.standing = Standing()
        self.best: dict[str, Tensor] = {}
        self.checkpoints = Checkpoints(folder / "checkpoints", keep=options.keep_checkpoints)
        self.journal = Journal(folder / "metrics.jsonl", accelerator=accelerator, progress=progress)
        self.terminated = threading.Event()
        self.last: dict[str, Any] = {}  # what the start that is over ended with
        self.tokens = int(train.lengths.sum())
        self.words = torch.bincount(train.tokens.long()).to(torch.float64)
        self.gathered = self._share(train, weight)

    def _share(self, train: EncodedSplit, weight: Tensor | None) -> Any:
        """This process's sentences; None where there are fewer sentences than processes."""
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        mine = torch.arange(rank, len(train), world)
        if not len(mine):
            return None
        lengths = train.lengths[mine]
        begin = train.offsets[:-1][mine]
        place = torch.arange(int(lengths.sum())) - (lengths.cumsum(0) - lengths).repeat_interleave(lengths)
        device = self.accelerator.device
        tokens = train.tokens[begin.repeat_interleave(lengths) + place].long().to(device)
        own = None if weight is None else weight[mine].to(device, torch.float64)
        return self.parts.gather(tokens, lengths.to(device), weight=own)

    def fit(self) -> Standing:
        """Every start to its end, from the newest valid checkpoint if there is one.

        Raises:
            TrainingStopped: SIGTERM came; a checkpoint was written.
            FloatingPointError: an objective was not finite.
            CheckpointError: a checkpoint could not be written.
        """
        begun = self._resume()
        standing = self.standing
        with on_sigterm(self.terminated):
            while not standing.over:
                if not begun:
                    self._start()
                begun = False
                self._to_its_end()
                self._close()
        self.model.load_state_dict(self.best)
        return standing

    # -------------------------------------------------------------------------------------------------------- a start

    def _start(self, *, again: int = 0) -> None:
        """The tables of this start: a function of (seed, its number) alone."""
        words = self.words.new_zeros(self._vocabulary)
        words[: len(self.words)] = self.words
        generator = torch.Generator().manual_seed(
            seed_of(self.seed, self.standing.restart, *([again] if again else []))
        )
        noise = self.options.start_noise if not again else max(self.options.start_noise, 0.1)
        self.parts.start(words.to(self.accelerator.device), generator=generator, noise=noise)

    @property
    def _vocabulary(self) -> int:
        return self.model.decoder.table.vocabulary  # type: ignore[union-attr, return-value]

    def _to_its_end(self) -> None:
        """E and M in turn until an iteration gains too little; the last E-step's tables stay."""
        standing, options = self.standing, self.options
        while True:
            started = time.perf_counter()
            statistics = self._expect()
            event = self._told(statistics)
            if standing.iteration == 0 and self._symmetric(event, len(self.parts.occupancy(statistics))):
                continue
            gain = None if standing.objective is None else standing.objective - event["objective_nats"]
            self._check(event, gain)
            standing.objective = event["objective_nats"]
            converged = gain is not None and gain < options.tolerance
            if converged or standing.iteration == options.iterations:
                self.last = event | {"converged": converged, "occupancy": self.parts.occupancy(statistics).tolist()}
                return
            self.parts.maximise(statistics)
            standing.iteration, standing.step = standing.iteration + 1, standing.step + 1
            seconds = time.perf_counter() - started
            standing.seconds += seconds
            if standing.iteration % options.log_every == 0:
                self._log(event, seconds)
            if standing.iteration % options.save_every == 0:
                self._save()
            self._stop_if_asked()

    def _expect(self) -> dict[str, Tensor]:
        """The E-step's sums over all processes."""
        mine = self.parts.expect(self.gathered) if self.gathered is not None else None
        if self.accelerator.num_processes == 1:
            assert mine is not None
            return mine
        return self._reduced(mine)

    def _reduced(self, mine: dict[str, Tensor] | None) -> dict[str, Tensor]:
        """Every process's sums added up, as one vector; a process without sentences adds nothing."""
        shapes = {name: tuple(value.shape) for name, value in (mine or {}).items()}
        shapes = next(each for each in gather_object([shapes]) if each)
        size = sum(math.prod(shape) for shape in shapes.values())
        device = self.accelerator.device
        packed = torch.zeros(size, dtype=torch.float64, device=device)
        if mine is not None:
            packed = torch.cat([value.reshape(-1).to(torch.float64) for value in mine.values()])
        packed = self.accelerator.reduce(packed, reduction="sum")
        parts = packed.split([math.prod(shape) for shape in shapes.values()])
        return {name: part.view(shape) for (name, shape), part in zip(shapes.items(), parts, strict=True)}

    def _told(self, statistics: dict[str, Tensor]) -> dict[str, Any]:
        """The E-step's numbers, nats per sentence."""
        sums = {name: float(statistics[name]) for name in ("sentences", "rate", "distortion", "nll")}
        count = sums["sentences"]
        neg_elbo = (sums["rate"] + sums["distortion"]) / count
        nll, log_prior = sums["nll"] / count, self.parts.log_prior()
        gap = neg_elbo - nll
        self.standing.gap = max(self.standing.gap, abs(gap)) if math.isfinite(gap) else gap
        return {
            "rate_nats": sums["rate"] / count,
            "distortion_nats": sums["distortion"] / count,
            "neg_elbo_nats": neg_elbo,
            "nll_nats": nll,
            "gap_nats": gap,
            "objective_nats": nll - log_prior / count,
            "sentences": count,
        }

    def _symmetric(self, event: dict[str, Any], classes: int) -> bool:
        """Whether the start leaves classes that no iteration can tell apart; it is then made anew, once, and said."""
        if classes < 2 or self.standing.notes:
            return False
        alike = self.parts.alike()
        if not alike and event["rate_nats"] > SYMMETRIC:
            return False
        which = (
            f"classes {alike[-1][1]} and {alike[-1][0]}" if alike and event["rate_nats"] > SYMMETRIC else "all classes"
        )
        self._note(
            f"symmetric: {which} say the same of every sentence, which no iteration changes; made anew with noise."
        )
        self._start(again=1)
        return True

    def _check(self, event: dict[str, Any], gain: float | None) -> None:
        """Numbers that cannot be are errors; an objective that falls is told.

        Raises:
            FloatingPointError: the objective is not finite.
        """
        where = f"start {self.standing.restart + 1}, iteration {self.standing.iteration}"
        if not math.isfinite(event["objective_nats"]):
            raise FloatingPointError(
                f"{where}: the objective is {event['objective_nats']}: a sentence has probability 0 under the tables, "
                "or a number overflowed. Set a pseudo-count above 0."
            )
        if gain is not None and gain < -ROUNDING:
            self._say(f"{where}: the objective rose by {-gain:.3g} nats per sentence, which exact EM never does.")

    def _close(self) -> None:
        """A start is over: its row, and whether it is the best."""
        standing, event = self.standing, self.last
        empty = [k for k, held in enumerate(event["occupancy"]) if held < EMPTY]
        if empty:
            self._note(
                f"empty: class {', '.join(map(str, empty))} holds less than {EMPTY:g}; its table stays as it was, and "
                "fewer classes would do as well."
            )
        for first, second in self.parts.alike():
            self._note(f"alike: classes {second} and {first} have the same table; one of them would do.")
        row = {
            "restart": standing.restart,
            "iterations": standing.iteration,
            "converged": event["converged"],
            **{name: event[name] for name in ("objective_nats", "nll_nats", "rate_nats", "distortion_nats")},
            "gap_nats": standing.gap,
            "valid_nll_nats": self.judge() if self.judge is not None else None,
            "classes_used": len(event["occupancy"]) - len(empty),
            "classes": len(event["occupancy"]),
            "notes": standing.notes,
        }
        if standing.best is None or row["objective_nats"] < standing.rows[standing.best]["objective_nats"]:
            standing.best = standing.restart
            self.best = {name: tensor.detach().clone() for name, tensor in self.model.state_dict().items()}
        standing.rows.append(row)
        standing.step += 1
        self.journal.write({"event": "restart", "step": standing.step, **row})
        self._say(line_of(row, self.options.restarts))
        standing.restart, standing.iteration, standing.objective = standing.restart + 1, 0, None
        standing.gap, standing.notes = 0.0, []
        standing.over = standing.restart == self.options.restarts
        self._save()

    # ------------------------------------------------------------------------------------------------ telling, saving

    def _log(self, event: dict[str, Any], seconds: float) -> None:
        standing, options = self.standing, self.options
        count = event.pop("sentences")
        self.journal.write(
            {
                "event": "log",
                "step": standing.step,
                "steps": options.restarts * (options.iterations + 1),
                "stage": f"start {standing.restart + 1} of {options.restarts}",
                "iteration": standing.iteration,
                **event,
                "beta": 1.0,
                "sentences_per_second": count / seconds,
                "tokens_per_second": self.tokens / seconds,
                "seconds": standing.seconds,
            }
        )

    def _note(self, text: str) -> None:
        self.standing.notes.append(text)
        self._say(f"start {self.standing.restart + 1}: {text}")

    def _say(self, text: str) -> None:
        self.journal.notes([text])

    def _stop_if_asked(self) -> None:
        asked = torch.tensor(float(self.terminated.is_set()), device=self.accelerator.device)
        if self.accelerator.num_processes > 1:
            asked = self.accelerator.reduce(asked, reduction="sum")
        if asked:
            self._save()
            self._say(f"SIGTERM: saved checkpoint step-{self.standing.step}; the same command goes on from it.")
            raise TrainingStopped(SIGTERM_EXIT)

    def _save(self) -> None:
        if self.accelerator.is_main_process and self.standing.step not in self.checkpoints.steps()[:1]:

            def fill(folder: Path) -> None:
                save_file(_contiguous(self.model.state_dict()), str(folder / "model.safetensors"))
                save_file(_contiguous(self.best), str(folder / "best.safetensors"))
                (folder / "state.json").write_text(json.dumps(asdict(self.standing), indent=1))

            write_folder(self.checkpoints.path(self.standing.step), fill)
            for old in self.checkpoints.steps()[self.options.keep_checkpoints :]:
                shutil.rmtree(self.checkpoints.path(old))
        self.accelerator.wait_for_everyone()

    def _resume(self) -> bool:
        """Stand where the newest valid checkpoint stood; whether that was in the middle of a start."""
        notes = list[str]()
        if self.accelerator.is_main_process:
            _, notes = self.checkpoints.newest()
        self.accelerator.wait_for_everyone()
        steps = self.checkpoints.steps()
        if not steps:
            if self.accelerator.is_main_process:
                self.journal.forget_after(0)
            self.journal.notes(notes)
            return False
        folder = self.checkpoints.path(steps[0])
        self.standing = Standing(**self.checkpoints.load_state(steps[0]))
        if self.accelerator.is_main_process:
            self.journal.forget_after(self.standing.step)
        device = str(self.accelerator.device)
        self.model.load_state_dict(load_file(str(folder / "model.safetensors"), device=device))
        self.best = load_file(str(folder / "best.safetensors"), device=device)
        self.journal.notes([*notes, f"resumed from checkpoint step-{steps[0]}."])
        return self.standing.iteration > 0


def _contiguous(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
