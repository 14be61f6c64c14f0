"""One optimiser update on a step's sentences: the same sums and the same weights in every launch shape.

Processes and accumulation parts share the sentences out, so the gradient is the same sum over the same sentences:

    loss = (beta * rate_sum + lam * distortion_sum) / N,    N the plan's mean number of sentences per step, a constant.

DDP averages gradients over processes; the loss is multiplied by their number, which makes the average that sum. Nothing
random outlives an update: dropout is seeded by (seed, stage, step, process, part), latent noise by the sentence. What a
model learns without gradients (codes as rolling averages, their usage) is added up over parts and processes, and taken
in once, after the weights have moved.
"""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, cast

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from textlatent.corpus.batches import Split, collate, mean_sentences_per_step, share
from textlatent.objective.objective import Terms
from textlatent.training.finite import must_be_finite
from textlatent.training.optimizer import build_optimizer, learning_rate_at, seed_of, seed_torch, set_learning_rate
from textlatent.training.options import PARTS, Stage, TrainingOptions
from textlatent.training.position import Position
from textlatent.training.reference import Reference
from textlatent.training.sums import pack, unpack

_INPUTS = ("tokens", "lengths", "vectors", "index")
"""What of a batch the model needs to learn; the rest is counts."""

NO_SENTENCE = -1
"""The index of what keeps a process without sentences in step: the model leaves it out of its statistics."""


class Updater:
    """The optimiser over the parts that learn, and what an update of them is.

    Args:
        model: maps a batch to Scores; has the parts encoder, prior and decoder.
        train: training sentences.
        options: the numbers.
        seed: decides noise, dropout and where codes start.
        accelerator: processes and devices.
        pad_id: of the tokenizer.
        saved: returns the steps with a checkpoint, newest first; for a message.
        terminated: whether SIGTERM came to this process.
    """

    def __init__(
        self,
        model: Any,
        *,
        train: Split,
        options: TrainingOptions,
        seed: int,
        accelerator: Accelerator,
        pad_id: int,
        saved: Callable[[], list[int]],
        terminated: Callable[[], bool],
    ) -> None:
        self.model = model
        self.train = train
        self.options = options
        self.seed = seed
        self.accelerator = accelerator
        self.pad_id = pad_id
        self.saved = saved
        self.terminated = terminated
        self.mean_sentences = mean_sentences_per_step(train.lengths, tokens_per_step=options.tokens_per_step, seed=seed)
        self.wrapped: Any = model
        self.optimizer: Any = None
        self.reference: Reference | None = None
        self.modes: list[tuple[nn.Module, bool]] = []

    # ------------------------------------------------------------------------------------------------ before a stage

    def prepare(self, stage: Stage, *, restore: Callable[[Any], None] = lambda optimizer: None) -> None:
        """Who learns, the codes' start, the optimiser, the wrapped model.

        Args:
            stage: that begins or goes on.
            restore: gives the optimiser the moments of a checkpoint.
        """
        for part in PARTS:
            getattr(self.model, part).requires_grad_(part in stage.learn)
        self.model.to(self.accelerator.device)
        if self.accelerator.device.type == "cpu" and self.options.precision == "bf16":
            # Measured on sentences of 22 tokens: the fused kernel's backward pass takes 50 ms, plain products 6 ms.
            self.model.set_attn_implementation("eager")
        self._start_codes()
        self.optimizer = build_optimizer(self.model, self.options)
        restore(self.optimizer)
        self.wrapped = self.accelerator.prepare(self.model)
        self.modes = self._modes(stage)
        self._calibrate()

    def _start_codes(self) -> None:
        """Codes that have not been started are, from the same sentences on every process."""
        quantiser = getattr(self.model, "quantiser", None)
        if quantiser is not None and not quantiser.started:
            sentences = self._reference(count=quantiser.sentences_to_start)
            with torch.autocast(self.model.device.type, torch.bfloat16, enabled=self.options.precision == "bf16"):
                self.model.start_codes(sentences.batches, seed=self.seed)

    def _calibrate(self) -> None:
        """Tell a model that asks for it what its reference sentences look like at the weights as they now are."""
        if self.model.calibrates:
            self.reference = self.reference or self._reference()
            self.reference.calibrate(self.model, precision=self.options.precision)

    def _reference(self, **more: int) -> Reference:
        return Reference(
            self.train,
            seed=self.seed,
            tokens_per_batch=self.options.tokens_per_step,
            pad_id=self.pad_id,
            device=self.accelerator.device,
            **more,
        )

    # ----------------------------------------------------------------------------------------------------- an update

    def __call__(
        self, stage: Stage, sentences: Tensor, *, position: Position, learn: tuple[str, ...], number: int = 0
    ) -> dict[str, Any]:
        """Update the parts in `learn`; the sentences' sums over all processes, nats.

        A `number` of 1 or more is an encoder-only update's: noise and dropout of its own, unseen by the objective's
        schedule, floor and target, which count steps.

        Raises:
            FloatingPointError: a sum or the gradient is not finite; nothing was updated.
        """
        beta = stage.objective.beta(position.stage_step)
        total = self._backward(stage, sentences, position=position, number=number)
        for held in set(PARTS) - set(learn):
            getattr(self.model, held).zero_grad(set_to_none=True)
        parameters = [p for group in self.optimizer.param_groups for p in group["params"]]
        norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
        if self.options.clip is not None:
            torch.nn.utils.clip_grads_with_norm_(parameters, self.options.clip, norm)
        sums = unpack(total, norm)
        must_be_finite(sums, step=position.step + 1, precision=self.options.precision, saved=self.saved)
        rate = learning_rate_at(position.stage_step, steps=stage.steps, options=self.options)
        set_learning_rate(self.optimizer, rate)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        quantiser = getattr(self.model, "quantiser", None)
        if quantiser is not None and quantiser.training:
            sums["codes_revived"] = quantiser.settle(reduce=self._sum)
        self._calibrate()
        if not number:
            stage.objective.observe(rate=sums["rate"], kl=sums["kl"], count=sums["count"])
        return sums | {"beta": beta, "learning_rate": rate}

    def _backward(self, stage: Stage, sentences: Tensor, *, position: Position, number: int) -> Tensor:
        """The gradient of all parts on all processes; their sums, packed."""
        options, world, rank = self.options, self.accelerator.num_processes, self.accelerator.process_index
        place = (self.seed, position.stage, position.stage_step, *([number] if number else []))
        for module, training in self.modes:  # a validation may have left others
            if module.training is not training:
                module.training = training
        totals: list[Tensor] = []
        for part in range(options.accumulation):
            seed_torch(seed_of(*place, rank, part))
            mine = share(sentences, parts=world * options.accumulation, part=rank + part * world)
            with nullcontext() if part + 1 == options.accumulation else self.accelerator.no_sync(self.wrapped):
                noise = seed_of(*place) if number else self.seed
                terms, weight = self._forward(stage, mine, sentences, position=position, noise=noise)
                self.accelerator.backward(terms.loss * (weight * world / self.mean_sentences))
            totals.append(pack(terms, weight=weight, terminated=self.terminated()))
        return self._sum(sum(totals[1:], totals[0]))

    def _sum(self, tensor: Tensor) -> Tensor:
        """Over all processes."""
        if self.accelerator.num_processes == 1:
            return tensor
        return cast(Tensor, self.accelerator.reduce(tensor, reduction="sum"))

    def _modes(self, stage: Stage) -> list[tuple[nn.Module, bool]]:
        """What learns is in training mode; what is held says what it says when it is evaluated, without dropout.

        Kept as a list: to walk down a small model at each step takes a fiftieth of it.
        """
        self.model.train()
        for part in set(PARTS) - set(stage.learn):
            getattr(self.model, part).eval()
        return [(module, module.training) for module in self.model.modules()]

    def _forward(
        self, stage: Stage, mine: Tensor, sentences: Tensor, *, position: Position, noise: int
    ) -> tuple[Terms, float]:
        """A part's sums, and its weight: 0 where the part is empty and only keeps the processes in step."""
        objective, weight = stage.objective, 1.0 if len(mine) else 0.0
        batch = cast(dict[str, Tensor], collate(self.train, mine if len(mine) else sentences[:1], pad_id=self.pad_id))
        if not len(mine):
            batch["index"] = torch.full_like(batch["index"], NO_SENTENCE)
        device = self.accelerator.device
        inputs = {name: batch[name].to(device, non_blocking=True) for name in _INPUTS if name in batch}
        with torch.autocast(device.type, torch.bfloat16, enabled=self.options.precision == "bf16"):
            scores = self.wrapped(
                **inputs,
                seed=noise,
                epoch=position.epoch + 1,  # epoch 0 is evaluation's
                samples=objective.importance_samples,
                densities=objective.needs_densities,
                **({} if _decodes(stage) else {"distortion": False}),
            )
        return objective(scores, position.stage_step), weight


def _decodes(stage: Stage) -> bool:
    """Whether the loss depends on the decoder: not where the prior learns alone, unless its bound is of many draws."""
    return set(stage.learn) != {"prior"} or stage.objective.importance_samples > 1
