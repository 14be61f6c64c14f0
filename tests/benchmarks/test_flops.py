"""How much of the machine does training use? Model FLOP/s of recipes/ptb/cpu.yaml against the matrix-product peak.

Three take turns over the same batches: the toolkit's loop, a plain loop over BertModel and GPT2LMHeadModel (full
logits, F.cross_entropy), and square matrix products in bf16 and fp32. All loops are credited with the same work: the
arithmetic of `model_flops`, padding and anything computed twice not counted.
"""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode
from transformers import BertModel, GPT2LMHeadModel
from transformers.pytorch_utils import Conv1D

from tests.benchmarks.fresh import measure
from tests.benchmarks.table import ratios, show, spread
from tests.benchmarks.workbench import build_trainer, first_steps, run_lengths, take_turns, timed
from textlatent.corpus.batches import collate
from textlatent.training.loop import Trainer

CASES = [("ptb/cpu", "cpu", 15, 5), ("ptb/gpu", "cuda", 50, 5)]  # recipe, device, steps in a run, runs
PEAK_SIZES = {"cpu": (1024, 2048, 4096), "cuda": (4096, 8192, 16384)}  # rows of the square matrices; the best counts
PEAK_SECONDS = 0.5  # of products, for each size


class PlainLoop:
    """The same sizes and mathematics, written straight down over two transformers models."""

    def __init__(self, trainer: Trainer) -> None:
        config, self.options, self.trainer = trainer.model.config, trainer.options, trainer
        self.device, self.sentences = trainer.accelerator.device, trainer.mean_sentences
        self.bos, self.size = config.decoder.bos_token_id, config.latent_size
        hidden = config.decoder.backbone.hidden_size
        self.parts = nn.ModuleDict(
            {
                "encoder": BertModel(config.encoder, add_pooling_layer=False),
                "head": nn.Linear(config.encoder.hidden_size, 2 * self.size),
                "slot": nn.Linear(self.size, hidden),
                "every": nn.Linear(self.size, hidden),
                "decoder": GPT2LMHeadModel(config.decoder.backbone),
            }
        )
        self.parts.to(self.device).train()
        self.optimizer = torch.optim.AdamW(self.parts.parameters(), lr=1e-3, betas=(0.9, 0.98), fused=True)

    def __call__(self, plan: list[Tensor]) -> None:
        """One step on each set of sentences."""
        for positions in plan:
            batch = collate(self.trainer.train, positions)
            tokens, lengths = batch["tokens"].to(self.device), batch["lengths"].to(self.device)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.options.precision == "bf16"):
                loss = self.loss(tokens, lengths)
            loss.backward()
            if self.options.clip:
                nn.utils.clip_grad_norm_(self.parts.parameters(), self.options.clip)
            self.optimizer.step()
            self.optimizer.zero_grad(set_to_none=True)

    def loss(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """KL + NLL, nats, over the mean number of sentences."""
        mask = torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]
        hidden = self.parts["encoder"](input_ids=tokens, attention_mask=mask.long()).last_hidden_state
        pooled = (hidden * mask[:, :, None]).sum(1) / lengths[:, None]
        mean, log_variance = self.parts["head"](pooled).float().chunk(2, -1)
        z = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        kl = 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance).sum()

        bos = tokens.new_full((len(tokens), 1), self.bos)
        embeds = self.parts["decoder"].get_input_embeddings()(torch.cat([bos, tokens[:, :-1]], 1))
        embeds = torch.cat([self.parts["slot"](z)[:, None], embeds + self.parts["every"](z)[:, None]], 1)
        logits = self.parts["decoder"](inputs_embeds=embeds, use_cache=False).logits[:, 1:]
        target = tokens.masked_fill(~mask, -100)
        nll = F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=-100, reduction="sum")
        return (kl + nll) / self.sentences


def model_flops(model: Any, lengths: Tensor) -> float:
    """Floating-point operations of a training step's matrix products on sentences of these lengths (EOS counted).

    Forward: 2 for each weight and token (in the decoder for slots too, in the word head for scored tokens alone), and
    4 H for each pair of tokens that attend to each other in a layer (half the pairs where attention is causal).
    Backward: twice that.
    """
    encoder, decoder = model.encoder.backbone, model.decoder.backbone
    scored, length = float(lengths.sum()), lengths.double()
    given = length + model.config.decoder.prefix
    flops = 2.0 * _weights(encoder) * scored + 2.0 * _weights(decoder.base_model) * given.sum().item()
    flops += 2.0 * decoder.get_output_embeddings().weight.numel() * scored
    for config, size, pairs in ((encoder.config, length, 1.0), (decoder.config, given, 0.5)):
        flops += 4.0 * config.hidden_size * config.num_hidden_layers * pairs * size.square().sum().item()
    return 3.0 * flops


def _weights(module: nn.Module) -> int:
    return sum(each.weight.numel() for each in module.modules() if isinstance(each, (nn.Linear, Conv1D)))


class Peak:
    """Square matrix products in one precision."""

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self.pairs = [torch.randn(2, n, n, device=device).to(dtype) for n in PEAK_SIZES[device.type]]
        self.results = [pair[0].clone() for pair in self.pairs]
        self.best: list[float] = []

    def __call__(self, plan: list[Tensor]) -> None:
        """Append the best FLOP/s of all sizes."""
        self.best.append(max(self._speed(*each) for each in zip(self.pairs, self.results, strict=True)))

    def _speed(self, pair: Tensor, result: Tensor) -> float:
        def product() -> Tensor:
            return torch.mm(pair[0], pair[1], out=result)

        once = max(timed(product) for _ in range(2))
        times = max(1, int(PEAK_SECONDS / once))
        return 2.0 * len(result) ** 3 * times / timed(lambda: [product() for _ in range(times)])


def train(recipe: str, steps: int, runs: int) -> dict[str, Any]:
    """Model FLOP/s of each run of both loops, the peaks measured between them, and torch's own count of a step."""
    trainer = build_trainer(recipe, steps=steps)
    device, plain = trainer.accelerator.device, PlainLoop(trainer)
    peaks = {"bf16": Peak(device, torch.bfloat16), "fp32": Peak(device, torch.float32)}
    seconds = take_turns(trainer, {"plain": plain, **peaks}, runs=runs)
    lengths = run_lengths(trainer, runs=runs)
    flops = [model_flops(trainer.model, each) for each in lengths]
    tokens = [each.sum().item() for each in lengths]
    return {
        "loops": {name: ratios(flops, seconds[name]) for name in ("toolkit", "plain")},
        "peaks": {name: peak.best[1:] for name, peak in peaks.items()},
        "tokens": {name: ratios(tokens, seconds[name]) for name in ("toolkit", "plain")},
        "counted": _counted(trainer, plain),
        "parameters": trainer.model.num_parameters(),
    }


def _counted(trainer: Trainer, plain: PlainLoop) -> dict[str, float]:
    """FLOP that torch counts in a step of each loop, as a multiple of model_flops."""
    batch = collate(trainer.train, first_steps(trainer, 1)[0])
    arithmetic, counted = model_flops(trainer.model, batch["lengths"]), {}
    tokens, lengths, index = (batch[name].to(trainer.accelerator.device) for name in ("tokens", "lengths", "index"))
    for name, loss in (
        ("toolkit", lambda: trainer.model.loss(tokens=tokens, lengths=lengths, index=index)),
        ("plain", lambda: plain.loss(tokens, lengths)),
    ):
        with FlopCounterMode(display=False) as counter:
            loss().backward()
        counted[name] = counter.get_total_flops() / arithmetic
    return counted


@pytest.mark.parametrize(("recipe", "device", "steps", "runs"), CASES, ids=[f"{c[0]}-{c[1]}" for c in CASES])
def test_share_of_the_matrix_peak(benchmark: Any, recipe: str, device: str, steps: int, runs: int) -> None:
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU")
    result = measure(benchmark, "tests.benchmarks.test_flops:train", recipe, steps, runs, cuda=device == "cuda")
    loops, peaks = result["loops"], result["peaks"]
    rows = [("toolkit / plain loop", spread(ratios(loops["toolkit"], loops["plain"])))]
    for name in ("toolkit", "plain"):
        for peak in ("bf16", "fp32"):
            share = [100.0 * each for each in ratios(loops[name], peaks[peak])]
            rows.append((f"{name} / {peak} peak", spread(share, unit=" %", digits=1)))
    for name, values in [*loops.items(), *((f"{peak} peak", values) for peak, values in peaks.items())]:
        rows.append((f"{name}, GFLOP/s", spread([each / 1e9 for each in values], digits=0)))
    for name, values in result["tokens"].items():
        rows.append((f"{name}, tokens/s", spread(values, digits=0)))
    rows += [(f"{name}, FLOP counted by torch / arithmetic", f"{each:.3f}") for name, each in result["counted"].items()]
    title = f"training {recipe} on {device}, {result['parameters'] / 1e6:.1f} M parameters, {steps} steps a run"
    show(title, result["machine"], rows)
