"""probe: on models whose z is known to keep the class or nothing, then on a run, against classifiers made by hand."""

import json
import sys
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from textlatent.diagnostics.probe import majority, more_accurate, probe_texts, probe_vectors
from textlatent.nats.classes import class_information
from textlatent.nats.gaussian import DiagonalGaussian
from textlatent.run.evaluate import choose
from textlatent.run.folder import Run
from textlatent.run.probe import _add_rows, _Table, decode, draw, probe, same_class

NAMES = ["majority", "bag of words", "latents", "latents drawn", "reconstructions", "written for class"]
WORDS = ("cat", "dog")


def silent(event: dict[str, Any]) -> None:
    """Nobody watches."""


class _Model:
    """z = +-1 by the word of the class (or 0 where it is deaf), far above the noise; decoding says the word back."""

    deterministic = False

    def __init__(self, *, deaf: bool = False, silent: bool = False, latent_size: int = 1) -> None:
        self.config, self.deaf, self.silent = SimpleNamespace(latent_size=latent_size), deaf, silent

    def encode(self, sentences: list[str]) -> DiagonalGaussian:
        mean = torch.tensor([[0.0 if self.deaf else 1.0 if "dog" in text else -1.0] for text in sentences])
        return DiagonalGaussian(mean, torch.full_like(mean, 2.0 * torch.tensor(0.1).log().item()))

    def decode(self, z: torch.Tensor, **_: Any) -> list[str]:
        return ["" if self.silent else f"the {WORDS[x > 0]} sleeps" for x in z[:, 0].tolist()]


def two_classes() -> _Table:
    """600, 200 and 40 sentences, two in three of class 0."""
    sizes = {"train": 600, "valid": 200, "test": 40}
    label = {name: torch.arange(size) % 3 // 2 for name, size in sizes.items()}
    return _Table(
        {name: ([f"a {WORDS[c]} runs" for c in each.tolist()], each) for name, each in label.items()}, classes=2
    )


def rows_of(model: _Model, *, seed: int = 0) -> dict[str, Any]:
    table = two_classes()
    _add_rows(table, model, seed, silent)  # type: ignore[arg-type]
    assert [row.name for row in table.rows] == NAMES
    return {row.name: row for row in table.rows}


def test_a_z_that_keeps_the_class_shows_it_in_every_row() -> None:
    found = rows_of(_Model())
    commonest = (torch.arange(40) % 3 < 2).double().mean().item()
    assert found["majority"].judged.accuracy.value == commonest
    assert {name: found[name].judged.accuracy.value for name in NAMES[1:]} == dict.fromkeys(NAMES[1:], 1.0)
    assert found["written for class"].over_majority.value == pytest.approx(1 - commonest)
    assert found["written for class"].over_words.value == 0
    assert (found["majority"].over_majority, found["bag of words"].over_words) == (None, None)


def test_a_z_that_keeps_nothing_gives_the_majority() -> None:
    """The decoder says either word whatever the class, one of them oftener by chance: real text would take the hint."""
    for seed in range(6):
        found = rows_of(_Model(deaf=True), seed=seed)
        assert found["bag of words"].judged.accuracy.value == 1.0
        for name in NAMES[2:]:
            assert abs(found[name].over_majority.value) <= 3 * found[name].over_majority.se, (name, seed)


def test_a_model_without_z_or_without_words_has_reasons_instead() -> None:
    found = rows_of(_Model(latent_size=0))
    assert all(found[name].judged is None for name in NAMES[2:])
    assert found["latents"].why == "the model is a language model: it has no z."
    found = rows_of(_Model(silent=True))
    assert found["latents"].judged.accuracy.value == 1.0
    for name in NAMES[4:]:
        assert (found[name].judged, found[name].why) == (None, "every decoded sentence is empty.")


def test_z_drawn_follows_the_posterior_and_the_seed() -> None:
    posterior = DiagonalGaussian(
        torch.tensor([[1.0, -2.0]]).repeat(20_000, 1), torch.tensor([[0.0, 2.0]]).expand(20_000, 2)
    )
    z = draw(posterior, seed=3, first=1)
    assert torch.equal(z, draw(posterior, seed=3, first=1))
    assert not torch.equal(z, draw(posterior, seed=3, first=2))
    error = posterior.std[0] / 20_000**0.5
    assert ((z.mean(0) - posterior.mean[0]).abs() < 3 * error).all()
    assert ((z.var(0) / posterior.variance[0] - 1).abs() < 3 * (2 / 20_000) ** 0.5).all()


def test_same_class_draws_evenly_within_a_class() -> None:
    label = torch.tensor([0] * 6000 + [1] * 2)
    rows = same_class(label, seed=0)
    assert torch.equal(label[rows], label)
    assert abs((rows[:6000] < 3000).double().mean() - 0.5) < 3 * (0.25 / 6000) ** 0.5
    assert rows[:6000].unique().numel() == pytest.approx(6000 * (1 - 1 / 2.718281828), rel=0.03)  # with replacement


def test_decoding_in_order_of_length_gives_the_same_sentences(trained: Run) -> None:
    model, split = trained.model_at("final"), trained.split("train")
    z = model.encode(split.texts(range(20))).mean
    said: list[dict[str, Any]] = []
    found = decode(model, z, lengths=split.lengths[:20], progress=said.append, what="decoding")
    assert found == model.decode(z)
    assert said == [{"event": "progress", "what": "decoding", "done": 20, "total": 20}]


@pytest.fixture(scope="module")
def probed(trained: Run) -> tuple[Any, list[dict[str, Any]]]:
    events: list[dict[str, Any]] = []
    return probe(trained, label="mood", sentences=120, progress=events.append), events


def test_a_run_s_rows_are_those_of_classifiers_made_by_hand(trained: Run, probed: tuple[Any, Any]) -> None:
    found, _ = probed
    other = Run(trained.folder)
    corpus = replace_label(other, "mood")
    splits = {name: getattr(corpus, name) for name in ("train", "valid", "test")}
    rows = choose(len(splits["train"]), 120, trained.recipe.seed)
    texts = [splits["train"][rows.tolist()]["text"], list(splits["valid"]["text"]), list(splits["test"]["text"])]
    label = [torch.tensor(splits["train"][rows.tolist()]["label"])]
    label += [torch.tensor(splits[name]["label"][:]) for name in ("valid", "test")]
    pairs = [part for each in zip(texts, label, strict=True) for part in each]
    model, classes = trained.model_at("final"), len(corpus.label_names)
    vectors = [part for text, each in zip(texts, label, strict=True) for part in (model.encode(text).mean, each)]
    expected = {
        "majority": majority(label[0], label[2], classes=classes),
        "bag of words": probe_texts(*pairs, classes=classes),
        "latents": probe_vectors(*vectors, classes=classes),
        "reconstructions": probe_texts(
            model.decode(vectors[0]), pairs[1], model.decode(vectors[2]), *pairs[3:], classes=classes
        ),
    }
    by_name = {row.name: row for row in found.rows}
    for name, judged in expected.items():
        assert by_name[name].judged.accuracy == judged.accuracy, name
        assert by_name[name].judged.label_nats.value == pytest.approx(judged.label_nats.value, rel=1e-6)
    paired = more_accurate(expected["latents"], expected["bag of words"])
    assert by_name["latents"].over_words == paired
    assert (found.label, found.names) == ("mood", corpus.label_names)
    assert found.sentences == {"train": 120, "valid": len(texts[1]), "test": len(texts[2])}


def replace_label(run: Run, label: str) -> Any:
    from textlatent.run.corpus import build_corpus

    return build_corpus(run.recipe.data.model_copy(update={"label": label}))


def test_the_table_is_kept_and_the_work_is_told(trained: Run, probed: tuple[Any, list[dict[str, Any]]]) -> None:
    found, events = probed
    kept = json.loads((trained.folder / "probe.json").read_text())
    assert kept == json.loads(json.dumps(found.to_dict()))
    assert [row["name"] for row in kept["rows"]] == NAMES
    assert kept["rows"][0]["over_majority"] is None
    assert kept["rows"][2]["accuracy"].keys() == {"value", "se"}
    assert {event["what"] for event in events if event["event"] == "progress"} == {
        f"{doing} {split}" for doing in ("reconstructing", "writing for") for split in ("train", "valid")
    }


def test_what_z_knows_is_kept_with_the_table(trained: Run, probed: tuple[Any, Any]) -> None:
    """By hand: the bounds of nats/classes.py on the test sentences' posteriors, one draw each by the recipe's seed."""
    found, _ = probed
    test = replace_label(Run(trained.folder), "mood").test
    posterior, label = trained.model_at("final").encode(list(test["text"])), torch.tensor(test["label"][:])
    z, classes = draw(posterior, seed=trained.recipe.seed, first=2), len(found.names)
    rows = torch.nn.functional.one_hot(label, classes).double()
    assert found.information.lower == class_information(posterior.mean, posterior.log_variance, z, rows).lower
    share = label.bincount().double() / len(label)
    assert found.information.label.value == pytest.approx(-share.xlogy(share).sum().item())
    kept = json.loads((trained.folder / "probe.json").read_text())["information"]
    assert kept["information_nats"]["value"] == found.information.lower.value


def test_labels_that_training_does_not_have_are_left_out_and_told(
    trained: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = sys.modules["textlatent.run.probe"]
    real = module._labelled  # type: ignore[attr-defined]

    def with_holes(run: Run, label: str | None) -> Any:
        column, names, splits = real(run, label)
        holes = splits["test"].label.clone()
        holes[:3] = -1
        return column, names, splits | {"test": replace(splits["test"], label=holes)}

    monkeypatch.setattr(module, "_labelled", with_holes)
    monkeypatch.setattr(module, "write_text", lambda *_: None)
    monkeypatch.setattr(module, "_add_rows", lambda *_: None)
    found = probe(trained, label="mood")
    assert found.sentences["test"] == len(trained.split("test")) - 3
    assert found.notes == ["test: 3 sentences whose label is not among the training split's are left out."]


def test_faults(trained: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="'colour'"):
        probe(trained, label="colour")
    unlabelled = Run(trained.folder)
    data = unlabelled.recipe.data.model_copy(update={"label": None})
    monkeypatch.setattr(unlabelled, "recipe", unlabelled.recipe.model_copy(update={"data": data}))
    monkeypatch.setattr(unlabelled, "check_corpus", lambda corpus: None)
    with pytest.raises(ValueError, match="names no label to probe; name the corpus's column with --label"):
        probe(unlabelled)
    single = Run(trained.folder)
    monkeypatch.setattr(single, "corpus", replace(trained.corpus, label_names=("one",)))
    with pytest.raises(ValueError, match="needs at least 2 different labels, the column 'topic' .* holds 1"):
        probe(single)
