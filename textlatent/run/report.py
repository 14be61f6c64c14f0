"""report: a run's folder -> report.html, one page that shows it all and asks the network for nothing."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor

from textlatent.diagnostics.codes import is_quantised
from textlatent.diagnostics.projection import aggregate_density, principal_plane
from textlatent.diagnostics.use import gain_per_position
from textlatent.nats.gaussian import DiagonalGaussian
from textlatent.report.codes import code_pictures
from textlatent.report.course import course_pictures, of_kind
from textlatent.report.dimensions import dimension_pictures
from textlatent.report.drawing import Picture
from textlatent.report.html import Content, page
from textlatent.report.latent import Density, Map, densities_picture, map_picture
from textlatent.report.position import gain_picture
from textlatent.run.diagnose import asked_rate
from textlatent.run.folder import Run
from textlatent.run.kinds import by_kind
from textlatent.scores import Scores
from textlatent.training.checkpoint import write_text

NO_RATE = "The encoder gives points, which have no density: there is no rate to judge."
MOST_DENSITIES = 4
GRID = 241


@by_kind
def report(
    run: Run | str | Path,
    *,
    output: str | Path | None = None,
    progress: Callable[[dict[str, Any]], None] | None = None,
) -> Path:
    """Where the page was written: RUN/report.html.

    It is made from what lies in the folder: ledger.json, diagnosis.json, metrics.jsonl, scores.safetensors,
    conditions/, samples.json, recipe.yaml. No model is loaded; for what is missing the page names the command.

    Args:
        run: a Run or its folder.
        output: another file to write.
        progress: called with a note for every piece that is missing.

    Raises:
        ValueError: there is no run in that folder, or a file in it is damaged.
    """
    run = run if isinstance(run, Run) else Run(run)
    content = gather(run)
    for sentence in dict.fromkeys(content.missing.values()):
        if progress is not None:
            progress({"event": "note", "text": sentence})
    path = run.folder / "report.html" if output is None else Path(output)
    write_text(path, page(content))
    return path


def gather(run: Run) -> Content:
    """Everything the page shows of a run, read and drawn."""
    folder = run.folder
    ledger, diagnosis, samples = (_read_json(folder / f"{n}.json") for n in ("ledger", "diagnosis", "samples"))
    missing = {}
    if ledger is None:
        missing["ledger"] = f"There is no ledger yet; `textlatent evaluate {folder}` makes it."
    if diagnosis is None:
        missing["diagnosis"] = f"There is no verdict yet; `textlatent diagnose {folder}` makes it."
    if run.recipe.model.type == "deterministic":
        missing["diagnosis"] = missing["use"] = NO_RATE
    if samples is None:
        again = f"`textlatent train {folder / 'recipe.yaml'}` writes them at the end of training"
        missing["samples"] = f"There are no samples yet; {again}, `textlatent sample {folder}` shows some now."
    elif not samples["samples"]:
        missing["samples"] = "There is no prior to draw from: the encoder gives points, which have no density."
    metrics = run.metrics if (folder / "metrics.jsonl").exists() else []
    objective = run.recipe.stage_objective(run.recipe.stages[-1])
    exact = None if ledger is None else ledger["exact_entropy_nats"]["value"]
    course = course_pictures(
        metrics, exact=exact, target=asked_rate(run.recipe), collapse=(diagnosis or {}).get("collapse_step")
    )
    if not course:
        missing["course"] = f"Nothing was logged yet; `textlatent train {folder / 'recipe.yaml'}` trains."
    scores, _ = _read_scores(folder / "scores.safetensors")
    return Content(
        name=run.recipe.name,
        folder=str(folder),
        recipe=(folder / "recipe.yaml").read_text(encoding="utf-8"),
        corpus=run.corpus_card,
        ledger=ledger,
        diagnosis=diagnosis,
        samples=samples,
        objective=_weights(metrics, objective.lam),
        course=course,
        carries=[*_dimensions(ledger, missing), *_use(run, missing)],
        latent=_latent(run, scores, ledger, missing),
        codebook=_codebook(diagnosis, metrics, ledger),
        missing=missing,
    )


def _codebook(
    diagnosis: Mapping[str, Any] | None, metrics: list[dict[str, Any]], ledger: Mapping[str, Any] | None
) -> list[Picture]:
    """The codes' pictures, where there are codes and they were looked at."""
    codes = (diagnosis or {}).get("codes")
    return [] if codes is None else code_pictures(codes, metrics, ledger)


def _read_json(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}); delete it, and make it again.") from None


def _read_scores(path: Path) -> tuple[Scores, dict[str, Any]] | tuple[None, None]:
    """The Scores in a file and what they are of, if it is there."""
    if not path.exists():
        return None, None
    try:
        return Scores.load(path)
    except (SafetensorError, ValueError) as error:
        raise ValueError(f"{path} is damaged ({error}); delete it, and make it again.") from None


def _weights(metrics: list[dict[str, Any]], lam: float) -> str:
    steps = of_kind(metrics, "log")
    return f"beta = {steps[-1]['beta']:.3g}, lam = {lam:g} at the last step" if steps else ""


def _dimensions(ledger: Mapping[str, Any] | None, missing: dict[str, str]) -> list[Picture]:
    pictures = [] if ledger is None else dimension_pictures(ledger)
    if ledger is None:
        missing["dimensions"] = missing["ledger"]
    elif not pictures:
        why = ledger["active_units"].get("why") or "the rate has no closed form by dimension."
        missing["dimensions"] = f"There is nothing to show by dimension: {why}"
    return pictures


def _use(run: Run, missing: dict[str, str]) -> list[Picture]:
    """The gain per position, where both conditions were scored token by token."""
    if run.recipe.model.type == "deterministic":
        return []  # `missing` says why
    found = [_read_scores(run.folder / "conditions" / f"{name}.safetensors") for name in ("own", "other")]
    (own, _), (other, _) = found
    # a diagnosis of one sentence has no other, and leaves that of an earlier one
    alike = len({json.dumps((about or {}) | {"condition": ""}, sort_keys=True) for _, about in found}) == 1
    if own is None or other is None or own.log_p_dec_token is None or other.log_p_dec_token is None or not alike:
        missing["use"] = (
            f"The sentences were not scored with another sentence's z yet; `textlatent diagnose {run.folder}` does it."
        )
        return []
    return [gain_picture([(each.value, each.se, each.count) for each in gain_per_position(own, other)])]


def _latent(
    run: Run, scores: Scores | None, ledger: Mapping[str, Any] | None, missing: dict[str, str]
) -> list[Picture]:
    if scores is None:
        missing["latent"] = f"There are no Scores yet; `textlatent evaluate {run.folder}` makes them."
        return []
    names = run.corpus_card.get("labels") or []
    if is_quantised(scores) and scores.z is not None and len(scores) > 1:
        return [map_picture(_map(scores, scores.z[0].double(), False, names, points="code vectors"))]
    if not scores.has_rate and scores.z is not None and len(scores) > 1:
        return [map_picture(_map(scores, scores.z[0].double(), False, names, points="points"))]
    if scores.posterior_mean is None or scores.posterior_log_variance is None:
        missing["latent"] = "The encoder has no density, so there is no aggregate posterior to show."
        return []
    if not scores.posterior_mean.shape[1] or len(scores) < 2:
        missing["latent"] = "There is no z to show: the model is a language model, or there is one sentence alone."
        return []
    posterior, scaled = _standardised(scores)
    correlation = (ledger or {}).get("mismatch_nats", {}).get("total_correlation") or {}
    densities = _densities(scores, posterior, scaled, ledger)
    return [
        densities_picture(densities, total_correlation=correlation.get("interval")),
        map_picture(_map(scores, posterior.mean, scaled, names)),
    ]


def _standardised(scores: Scores) -> tuple[DiagonalGaussian, bool]:
    """The posteriors in float64, in the prior's standard deviations where it is a factorised Gaussian."""
    mean, log_variance = scores.need("posterior_mean").double(), scores.need("posterior_log_variance").double()
    if scores.prior_mean is None or scores.prior_log_variance is None:
        return DiagonalGaussian(mean, log_variance), False
    prior = DiagonalGaussian(scores.prior_mean.double(), scores.prior_log_variance.double())
    return DiagonalGaussian((mean - prior.mean) / prior.std, log_variance - prior.log_variance), True


def _densities(
    scores: Scores, posterior: DiagonalGaussian, scaled: bool, ledger: Mapping[str, Any] | None
) -> list[Density]:
    """The dimensions with the highest rate (or, without one, whose means move most)."""
    activity = posterior.mean.var(0) if scores.kl is None else scores.kl.double().mean(0)
    chosen = activity.argsort(descending=True)[:MOST_DENSITIES].tolist()
    parts = (ledger or {}).get("mismatch_nats", {}).get("dimensions") or {}
    mismatch = parts.get("per_dimension") or []
    found = []
    for dimension in chosen:
        mean, log_variance = posterior.mean[:, dimension], posterior.log_variance[:, dimension]
        reach = 3.0 * (0.5 * log_variance).exp().median()
        low, high = (mean.min() - reach).item(), (mean.max() + reach).item()
        at = torch.linspace(min(low, -3.5) if scaled else low, max(high, 3.5) if scaled else high, GRID).double()
        unit = DiagonalGaussian(torch.zeros(1).double(), torch.zeros(1).double())
        found.append(
            Density(
                dimension,
                at,
                aggregate_density(mean, log_variance, at=at),
                unit.log_prob(at[:, None]).exp() if scaled else None,
                mismatch[dimension]["value"] if dimension < len(mismatch) else None,
                None if scores.kl is None else scores.kl[:, dimension].double().mean().item(),
            )
        )
    return found


def _map(scores: Scores, mean: Tensor, scaled: bool, names: list[str], *, points: str = "posterior means") -> Map:
    """The means, grouped by label; by length where there are no labels."""
    plane = principal_plane(mean)
    centre = tuple((-plane.centre @ plane.axes.T).tolist()) if scaled else None
    if scores.label is not None and names and bool((scores.label >= 0).any()):
        return Map(plane, scores.label, names, "label", centre, points)
    tokens = scores.need("tokens")
    quarters = torch.tensor([0.25, 0.5, 0.75])
    borders = tokens.double().quantile(quarters.double()).round().long().unique()
    group = torch.bucketize(tokens, borders, right=True)
    edges = [int(tokens.min()), *borders.tolist(), int(tokens.max()) + 1]
    spans = [f"{low} to {high - 1}" for low, high in zip(edges, edges[1:], strict=False)]
    return Map(plane, group, spans, "length in tokens", centre, points)
