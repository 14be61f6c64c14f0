"""From a channel of one bit to a trained VQ model on its own R(D), all in nats.

    python examples/rate_distortion.py [FOLDER]

About 40 seconds on one core. The last table is what a trained model pays beside what the best encoder and prior would
pay with the very same decoder.
"""

import sys
import tempfile

import torch
from datasets import disable_progress_bars

from textlatent.nats import channel as channels
from textlatent.nats.capacity import channel_capacity
from textlatent.nats.rate_distortion import rate_at
from textlatent.nats.water_filling import reverse_water_filling
from textlatent.recipe.document import read_document
from textlatent.recipe.load import load_recipe
from textlatent.run import find_recipe, limit, train

VQ = [
    "model.type=vq",
    "model.codebook.positions=1",
    "model.codebook.codes=32",
    "model.codebook.size=16",
    "objective.target_rate=null",
    "objective.beta_start=null",
    "training.steps=500",
    "training.validate_every=250",
    "training.save_every=500",
    "training.sample_every=0",
    "evaluation.sentences=200",
    "evaluation.samples=1",
    "evaluation.ladder=[1]",
]


def closed_forms() -> None:
    """A channel, a coin and a Gaussian: computed beside the formula."""
    print("what a channel sends            computed    formula")
    for flip in (0.0, 0.1, 0.5, 1.0):
        found = channel_capacity(channels.binary_symmetric(flip))
        print(
            f"  a bit, flipped with p = {flip:<4}  {found.value:.6f}   {channels.binary_symmetric_capacity(flip):.6f}"
        )
    print("what a fair coin costs          computed    formula")
    coin, wrong = torch.tensor([0.5, 0.5]), channels.binary_symmetric(1.0)
    for share in (0.0, 0.1, 0.3):
        found = rate_at(coin, wrong, share)
        print(f"  with {share:.0%} of the bits wrong     {found.rate:.6f}   {channels.bernoulli_rate(0.5, share):.6f}")
    water = reverse_water_filling(torch.tensor([4.0, 1.0, 0.1]), lam=2.0)
    rates = ", ".join(f"{rate:.3f}" for rate in water.rate.tolist())
    print(f"Gaussians of variance 4, 1, 0.1 at an error of 1/4 each: {rates} nats; the last is not worth sending")


def trained(folder: str) -> None:
    """A VQ model of one code a sentence, and how far it is from the best that its decoder allows."""
    values = read_document(find_recipe("quickstart")).values
    del values["model"]["latent_size"]  # of numbers; codes have positions and sizes
    run = train(load_recipe(values, ["name=codes", *VQ]), out=folder)
    found = limit(run, sentences=200)
    print(f"\na model with {found.codes} codes, nats per sentence over {found.sentences} sentences")
    print("                                    rate   distortion      sum")
    for name, rate, distortion in (
        ("the model (uniform prior)", found.rate, found.distortion),
        ("R(D) at its distortion", found.least.rate, found.least.distortion),
        ("least sum with its decoder", found.best.rate, found.best.distortion),
    ):
        print(f"  {name:<30} {rate:7.3f}   {distortion:10.3f}  {rate + distortion:7.3f}")
    print(f"a better encoder and prior could save {found.excess_loss:.3f} nats; the rest is the decoder's")
    print(f"{'slope':>10} {'rate':>8} {'distortion':>11}")
    for point in found.points[::4]:
        print(f"{point.slope:10.3f} {point.rate:8.3f} {point.distortion:11.3f}")


if __name__ == "__main__":
    disable_progress_bars()
    closed_forms()
    if len(sys.argv) > 1:
        trained(sys.argv[1])
    else:
        with tempfile.TemporaryDirectory() as temporary:
            trained(temporary)
