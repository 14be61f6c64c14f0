"""Models with codes whose illness or health is known by construction, on the sentences of tests/oracles/clinic.py.

Encoder:  k_p is the part of the alphabet that content word describes[p] lies in: groups[p] parts of equal size.
Prior:    uniform over K codes, or fitted: ln groups[p], and nothing for a word that an earlier position has told.
Decoder:  where it listens, the word is in the part that k_p names with probability 1 - LEAK, uniform in it and outside;
          where it does not, 1 / BINS. Function words as the language has them.

Content words are independent and uniform, so H(k) is the sum of ln groups[p] over the words described.
"""

import math
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from tests.oracles.clinic import BINS, Sentences, draw_sentences
from textlatent.diagnostics.codes import Alphabet
from textlatent.scores import Scores

LEAK = 0.02


@dataclass(frozen=True)
class CodePatient:
    """A model by construction, and the verdict it must get.

    Attributes:
        verdict: the overall verdict.
        groups: how many codes each position uses.
        codes: K, of the codebook that all positions share.
        fitted: the prior knows the codes; else it is uniform.
        hears: whether the decoder listens to each position.
        describes: which content word each position describes.
        meanings: content words of a sentence.
        sentences: how many are scored.
        also: illnesses that must be listed beside the verdict's own.
        says: words that a check that fired must hold.
    """

    verdict: str
    groups: tuple[int, ...] = (16,) * 8
    codes: int = 16
    fitted: bool = False
    hears: bool = True
    describes: tuple[int, ...] = ()
    meanings: int = 8
    sentences: int = 500
    also: tuple[str, ...] = ()
    says: str = ""

    @property
    def alphabet(self) -> Alphabet:
        """What codes there are."""
        return Alphabet(self.codes)

    def entropy(self) -> float:
        """H(k), nats."""
        return sum(math.log(self.groups[p]) for p in self._first())

    def scores(self, seed: int) -> dict[str, Scores]:
        """The Scores of the sentences under each condition: own, other, prior_draw."""
        generator = torch.Generator().manual_seed(seed)
        text = draw_sentences(self.sentences, self.meanings, generator)
        codes = text.content[:, self._described()] * torch.tensor(self.groups) // BINS
        nats = [math.log(self.groups[p]) if p in self._first() else 0.0 for p in range(len(self.groups))]
        kl = torch.tensor(nats, dtype=torch.float64) if self.fitted else torch.full((len(nats),), math.log(self.codes))
        kl = kl.double().expand(codes.shape)
        own = Scores(
            codes=codes[None], kl=kl, log_p_enc=torch.zeros(1, len(codes), dtype=torch.float64),
            log_p_pri=-kl.sum(1)[None], penalty=torch.zeros(len(codes)), **self._decoded(text, codes),
        )  # fmt: skip
        drawn = draw_sentences(self.sentences, self.meanings, generator).content[:, self._described()]
        elsewhere = {"other": codes.roll(1, 0), "prior_draw": drawn * torch.tensor(self.groups) // BINS}
        return {"own": own} | {name: Scores(**self._decoded(text, other)) for name, other in elsewhere.items()}

    def _decoded(self, text: Sentences, codes: Tensor) -> dict[str, Tensor]:
        token = text.end.clone()
        token[:, : self.meanings] = -math.log(BINS)
        for p in self._first() if self.hears else ():
            groups, word = self.groups[p], self._described()[p]
            if groups == 1:
                continue
            inside = text.content[:, word] * groups // BINS == codes[:, p]
            size = BINS // groups
            token[:, word] = torch.where(inside, math.log((1 - LEAK) / size), math.log(LEAK / (BINS - size)))
        return {
            "log_p_dec": token.sum(1)[None], "log_p_dec_token": token, "tokens": text.tokens,
            "index": torch.arange(len(codes)),
        }  # fmt: skip

    def _described(self) -> Tensor:
        return torch.tensor(self.describes or tuple(range(len(self.groups))))

    def _first(self) -> list[int]:
        """The positions that describe a word which no earlier one does."""
        described = self._described().tolist()
        return [p for p, word in enumerate(described) if word not in described[:p]]


CODE_PATIENTS: dict[str, CodePatient] = {
    "one code for every sentence": CodePatient(
        "collapsed", groups=(1,) * 8, also=("partly collapsed",), says="nearly every sentence is 0 0 0 0 0 0 0 0"
    ),
    "one code, under a prior that knows it": CodePatient("collapsed", groups=(1,) * 8, fitted=True),
    "a deaf decoder": CodePatient("ignored", hears=False, says="latent tells at least"),
    "a deaf decoder, under a prior that knows the codes": CodePatient("ignored", hears=False, fitted=True),
    "an eighth of the codebook": CodePatient(
        "partly collapsed", groups=(8,) * 8, codes=64, fitted=True, says="64 codes 56 stand for none"
    ),
    "half of the positions silent": CodePatient(
        "partly collapsed", groups=(16,) * 4 + (1,) * 4, fitted=True, says="4 of 8 positions are silent, k[4-7]"
    ),
    "a uniform prior over far too many codes": CodePatient(
        "mismatched", groups=(8,) * 8, codes=4096, also=("partly collapsed",), says="prior over codes"
    ),
    "every word told three times, under a uniform prior": CodePatient(
        "healthy",
        groups=(16,) * 24,
        describes=tuple(range(8)) * 3,  # near ln N the bounds leave the mismatch open
    ),
    "every word told twice, under a prior that knows it": CodePatient(
        "healthy", groups=(16,) * 16, describes=tuple(range(8)) * 2, fitted=True
    ),
    "the first words only": CodePatient("memorising", groups=(64,) * 3, codes=64, says="first 3 tokens"),
    "too few sentences": CodePatient("underpowered", sentences=20),
    "healthy under a uniform prior": CodePatient("healthy"),
    "healthy under a prior that knows the codes": CodePatient("healthy", fitted=True),
    "healthy with a code for every word": CodePatient("healthy", groups=(64,) * 8, codes=64),
    "healthy, few nats": CodePatient("healthy", groups=(2,) * 8, codes=2),
    "healthy, 60 sentences": CodePatient("healthy", sentences=60),
}
"""Name -> patient."""


@cache
def code_visit(name: str, seed: int) -> dict[str, Scores]:
    """A patient's Scores, made once."""
    return CODE_PATIENTS[name].scores(seed)
