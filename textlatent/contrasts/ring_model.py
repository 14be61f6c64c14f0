"""A ring that learns: labels in, Scores out. Its record holds log_p_dec and nothing else; the blanks are the contrast.

ln P_dec stands for ln P(Y) given N ("exact"), or for ln PL(Y) ("pseudo"), which is no probability of Y.
"""

from typing import Any

import torch
from huggingface_hub.dataclasses import strict
from jaxtyping import Float, Int
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from textlatent.contrasts.ring import Ring
from textlatent.contrasts.ring_partition import log_partition
from textlatent.scores import Scores

CRITERIA = ("exact", "pseudo")


@strict
class RingConfig(PreTrainedConfig):
    """A ring's shape.

    Attributes:
        labels: q.
        sites: N, where each edge and each site has potentials of its own; None where all share theirs, at any N.
        closed: False for an open chain.
        criterion: what log_p_dec stands for: "exact" or "pseudo".
        symbols: how each label is written; none, or q of them.
        unit: what the labels of a text are: "characters" or "words".
        end: whether label 0 stands between a text's last and first symbol.
    """

    model_type = "textlatent_ring"

    labels: int = 2
    sites: int | None = None
    closed: bool = True
    criterion: str = "exact"
    symbols: list | None = None
    unit: str = "characters"
    end: bool = False

    def validate_criterion(self) -> None:
        """Refuse what log_p_dec cannot stand for."""
        if self.criterion not in CRITERIA:
            raise ValueError(f"criterion must be one of {', '.join(CRITERIA)}, got {self.criterion!r}.")


class Potentials(nn.Module):
    """Edges and fields as parameters, float64, nats; all 0 at the start, where every Y is as likely as any other."""

    def __init__(self, config: RingConfig) -> None:
        super().__init__()
        count, each = config.labels, config.sites
        edges = () if each is None else (each - (not config.closed),)
        fields = () if each is None else (each,)
        self.edges = nn.Parameter(torch.zeros(*edges, count, count, dtype=torch.float64))
        self.fields = nn.Parameter(torch.zeros(*fields, count, dtype=torch.float64))


class RingModel(PreTrainedModel):
    """A ring whose potentials learn; `decoder` holds them, and there is nothing in `encoder` and `prior`."""

    config_class = RingConfig
    base_model_prefix = ""
    main_input_name = "tokens"
    calibrates = False

    def __init__(self, config: RingConfig) -> None:
        super().__init__(config)
        self.encoder = nn.Identity()
        self.prior = nn.Identity()
        self.decoder = Potentials(config)
        self.criterion = config.criterion
        self.post_init()

    def _init_weights(self, module: Any) -> None:
        """Leave the potentials at 0."""

    @classmethod
    def of(cls, ring: Ring, **config: Any) -> "RingModel":
        """The model with a ring's potentials."""
        sites = None if ring.shared else ring.sites
        model = cls(RingConfig(labels=ring.labels, sites=sites, closed=ring.closed, **config))
        with torch.no_grad():
            model.decoder.edges.copy_(ring.edges)
            model.decoder.fields.copy_(ring.fields)
        return model

    def ring(self, sites: int) -> Ring:
        """The ring of so many sites, carrying the gradient of its potentials.

        Raises:
            ValueError: potentials of another number of sites.
        """
        if self.config.sites not in (None, sites):
            raise ValueError(f"this ring has potentials for {self.config.sites} sites, got sequences of {sites}.")
        return Ring(self.decoder.edges, self.decoder.fields, sites, self.config.closed)

    def forward(
        self,
        tokens: Int[Tensor, "B T"],
        lengths: Int[Tensor, " B"],
        index: Int[Tensor, " B"],
        *,
        words: Int[Tensor, " B"] | None = None,
        characters: Int[Tensor, " B"] | None = None,
        label: Int[Tensor, " B"] | None = None,
        samples: int = 1,
        keep_tokens: bool = False,
        **noise: Any,
    ) -> Scores:
        """Ln P(Y) or ln PL(Y) of each sequence, nats, in `log_p_dec`; every other quantity is blank.

        Args:
            tokens: labels, then padding.
            lengths: the N of each.
            index: carried into the record.
            words: carried into the record.
            characters: carried into the record.
            label: carried into the record.
            samples: rows of log_p_dec; all are alike, for nothing is drawn.
            keep_tokens: under "pseudo" also ln P(Y_n | the rest) as log_p_dec_token; ln P(Y) is no sum over sites.
            noise: seed, epoch and the like, of draws that are not made.
        """
        around = _Around(tokens, lengths)
        each = None
        if self.criterion == "pseudo":
            each = self._site_terms(around)
            total = each.sum(1)
        else:
            total = self._scores(around) - self._log_partitions(lengths)
        return Scores(
            log_p_dec=total.expand(samples, -1),
            log_p_dec_token=each if keep_tokens else None,
            tokens=lengths,
            words=words,
            characters=characters,
            index=index,
            label=label,
        )

    def _log_partitions(self, lengths: Int[Tensor, " B"]) -> Float[Tensor, " B"]:
        """Ln Z of each sequence's own N, nats; each N once."""
        sizes, place = lengths.unique(return_inverse=True)
        return torch.stack([log_partition(self.ring(size)) for size in sizes.tolist()])[place]

    def _scores(self, around: "_Around") -> Float[Tensor, " B"]:
        """The sum of each sequence's potentials, nats."""
        edges, fields = self._edges(around), self._fields(around)
        following = edges.gather(2, around.right[..., None]).squeeze(-1)
        if not self.config.closed:
            following = following.masked_fill(around.ends, 0.0)
        own = fields.gather(2, around.tokens[..., None]).squeeze(-1)
        return ((following + own) * around.valid).sum(1)

    def _site_terms(self, around: "_Around") -> Float[Tensor, "B T"]:
        """Ln P(Y_n | the rest) of each site, nats, 0 on padding."""
        before, after = self._before(around), self._after(around)
        if not self.config.closed:
            before = before.masked_fill(around.begins[..., None], 0.0)
            after = after.masked_fill(around.ends[..., None], 0.0)
        of_label = (self._fields(around) + before + after).log_softmax(-1)
        return of_label.gather(2, around.tokens[..., None]).squeeze(-1) * around.valid

    def _fields(self, around: "_Around") -> Float[Tensor, "B T q"]:
        fields = self.decoder.fields
        if self.config.sites is None:
            return fields.expand(*around.tokens.shape, -1)
        return fields[around.place]

    def _edges(self, around: "_Around") -> Float[Tensor, "B T q"]:
        """The potential of the edge after each site, given the site's own label, for each label of the next."""
        if self.config.sites is None:
            return self.decoder.edges[around.tokens]
        return self._each_edge(around.place, around.tokens)

    def _before(self, around: "_Around") -> Float[Tensor, "B T q"]:
        """What the edge before each site says of the site's label."""
        if self.config.sites is None:
            return self.decoder.edges[around.left]
        return self._each_edge((around.place - 1) % self.config.sites, around.left)

    def _after(self, around: "_Around") -> Float[Tensor, "B T q"]:
        """What the edge after each site says of the site's label."""
        if self.config.sites is None:
            return self.decoder.edges.T[around.right]
        edges = self.decoder.edges.transpose(-1, -2)
        return edges[around.place.clamp(max=len(edges) - 1), around.right]

    def _each_edge(self, place: Tensor, label: Tensor) -> Tensor:
        """Row `label` of edge `place`; of an open chain's closing edge any row, which the caller blanks."""
        return self.decoder.edges[place.clamp(max=len(self.decoder.edges) - 1), label]


class _Around:
    """A padded batch with each site's neighbours around its own sequence."""

    def __init__(self, tokens: Int[Tensor, "B T"], lengths: Int[Tensor, " B"]) -> None:
        count = tokens.shape[1]
        self.place = torch.arange(count, device=tokens.device).expand_as(tokens)
        last = lengths[:, None] - 1
        self.valid = self.place <= last
        self.tokens = tokens.masked_fill(~self.valid, 0)
        self.begins, self.ends = self.place == 0, self.place == last
        self.left = self.tokens.gather(1, torch.where(self.begins, last, self.place - 1))
        self.right = self.tokens.gather(1, torch.where(self.ends, 0, (self.place + 1).clamp(max=count - 1)))
