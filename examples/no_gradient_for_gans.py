"""Why a VAE over words has a gradient and a GAN over words has none, and what can be done about it.

    python examples/no_gradient_for_gans.py

Some seconds on one core. A generator turns noise into words by the intervals that the noise falls into; the words do
not move when the tables do, until one jumps. The gradient of the expected cost is there all the same: at the ends.
"""

import torch

from textlatent.contrasts.bigram_gan import BigramGAN, BigramGANConfig
from textlatent.contrasts.zero_gradient import autograd_answer, count_jumps, finite_differences
from textlatent.decoder.table import word_from_noise
from textlatent.gradient.boundary import boundary
from textlatent.gradient.exact import expectation
from textlatent.gradient.pathwise import reparameterise
from textlatent.gradient.score_function import leave_one_out, score_function
from textlatent.nats.gaussian import DiagonalGaussian


def a_vae_has_one() -> None:
    """ln P_dec(s|z) is smooth in z, however discrete s is."""
    mean = torch.zeros(1, requires_grad=True)
    noise = torch.randn(1000, 1, 1, generator=torch.Generator().manual_seed(0))
    z = reparameterise(DiagonalGaussian(mean, torch.zeros(1)), noise)
    logits = z * torch.tensor([1.0, -0.5, 0.2])  # a decoder of one word out of three
    loss = -logits.log_softmax(-1)[..., 0].mean()
    print(f"VAE: d loss / d mu = {torch.autograd.grad(loss, mean)[0].item():+.4f}, by autograd through z")


def a_gan_has_none() -> None:
    """The same question to a generator of words, in three ways."""
    torch.manual_seed(0)
    model = BigramGAN(BigramGANConfig(vocab_size=6, words=4, eos_token_id=2))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_()
    noise = torch.rand(400_000, 4, dtype=torch.float64)
    answer = autograd_answer(model, noise, cost="log_ratio")
    print("\nGAN: d loss / d tables by autograd")
    print(f"  through words, which are integers:   {answer.through_words}")
    print(f"  through rows made of steps:          {answer.through_rows}")
    print("GAN: finite differences at fixed noise")
    print("        h   sentences that change   largest difference   their mean")
    for step in (1e-1, 1e-2, 1e-3):
        found = finite_differences(model, noise, cost="log_ratio", step=step)
        print(f"  {step:7.0e}   {found.words_changed:21.5f}   {found.largest:18.0f}   {found.mean:+10.4f}")
    print("  fewer and fewer change, each by more and more: the mean has a limit, and autograd does not see it")


def where_it_is() -> None:
    """One word: the exact gradient, at the ends of the intervals, and estimated from draws."""
    random = torch.Generator().manual_seed(1)
    logits = torch.randn(5, generator=random, dtype=torch.float64).requires_grad_()
    cost = torch.randn(5, generator=random, dtype=torch.float64)
    exact = torch.autograd.grad(expectation(logits, cost), logits)[0]
    ends = torch.autograd.grad(boundary(logits.softmax(-1), cost), logits)[0]
    draws = word_from_noise(logits.detach().softmax(-1), torch.rand(20_000, generator=random, dtype=torch.float64))
    log_p, paid = logits.log_softmax(-1)[draws], cost[draws]
    sampled = torch.autograd.grad(score_function(log_p, paid, baseline=leave_one_out(paid)), logits)[0]
    before, after = (x.detach().softmax(-1) for x in (logits, logits + 0.01 * cost))
    jumps = count_jumps(before, after, points=1_000_000)
    print("\nthe gradient of the expected cost of one word, by logit")
    for name, found in (("every word summed", exact), ("at the ends", ends), ("REINFORCE, 20,000 draws", sampled)):
        print(f"  {name:<24}" + " ".join(f"{value:+.4f}" for value in found.tolist()))
    print(f"noise that jumps when the logits move a little: {jumps.measured:.6f}, sum |dF_k| = {jumps.first_order:.6f}")
    assert torch.allclose(exact, ends)


if __name__ == "__main__":
    a_vae_has_one()
    a_gan_has_none()
    where_it_is()
