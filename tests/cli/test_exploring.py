"""probe, arithmetic, neighbours from the shell: what is asked for reaches the verb, and its answer is a table."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

import textlatent.run
from textlatent.cli.main import main
from textlatent.diagnostics.probe import judge, more_accurate
from textlatent.nats.montecarlo import Estimate
from textlatent.run.arithmetic import Arithmetic
from textlatent.run.label_information import LabelInformation
from textlatent.run.neighbours import UNITS, Neighbour
from textlatent.run.probe import ProbeResult, ProbeRow

Command = Callable[..., list[str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*arguments: str) -> list[str]:
        monkeypatch.setattr("sys.argv", ["textlatent", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        assert not end.value.code
        return capsys.readouterr().out.splitlines()

    return run


def answer(monkeypatch: pytest.MonkeyPatch, verb: str, result: Any) -> list[Any]:
    """The verb gives `result`; what it is called with is collected."""
    calls: list[Any] = []

    def called(*arguments: Any, **settings: Any) -> Any:
        settings.pop("progress", None)
        calls.append((arguments, settings))
        return result

    monkeypatch.setattr(textlatent.run, verb, called)
    return calls


def test_probe(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    p, label = torch.tensor([[0.9, 0.1], [0.4, 0.6]]).double().log(), torch.tensor([0, 0])
    judged = judge(p, label, strength=0.1)
    rows = (
        ProbeRow("latents", "their means", judged, more_accurate(judged, judged), None),
        ProbeRow("reconstructions", "real text", None, why="every decoded sentence is empty."),
    )
    found = ProbeResult("genre", ("a", "b"), rows, {"train": 12_000, "valid": 3, "test": 2}, ["one note."], "best")
    calls = answer(monkeypatch, "probe", found)
    out = command("probe", "RUN", "--label", "genre", "--sentences", "50", "--checkpoint", "best")
    assert calls == [(("RUN",), {"label": "genre", "sentences": 50, "checkpoint": "best"})]
    assert out[0] == "one note."
    assert out[1] == (
        "label genre: 2 classes; 12,000 train, 3 valid, 2 test sentences; +- one standard error: accuracy, over "
        "majority, over words, macro F1, nats of label, C"
    )
    assert "latents          their means" in out[-2]
    assert "0.500 +- 0.500  0.000 +- 0.000" in out[-2]
    assert out[-2].endswith("0.1")
    assert "every decoded sentence is empty." in out[-1]


def test_probe_tells_what_z_knows_of_the_label(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    estimates = [Estimate(value, 0.25, 1200) for value in (1.5, 1.75, 2.25)]
    told = LabelInformation(*estimates, text=2.125, sentences=1200)
    found = ProbeResult("topic", ("a", "b"), (), {"test": 1200}, [], "best", told)
    answer(monkeypatch, "probe", found)
    out = command("probe", "RUN")
    at = out.index("information of 1,200 test sentences, nats")
    rows = [line.split("  ") for line in out[at + 1 :]]
    found_cells = [[cell.strip() for cell in row if cell.strip()][:3] for row in rows]
    assert found_cells == [
        ["I(z; label)", "1.500", "0.250"],
        ["I(z; label), at most", "1.750", "0.250"],
        ["I(y; label)", "2.125", "-"],
        ["H(label)", "2.250", "0.250"],
    ]
    point = replace(told, lower=None, upper=None, text=None, why="z is a point.")
    answer(monkeypatch, "probe", replace(found, information=point))
    out = command("probe", "RUN")
    assert "z is a point." in out[-3]
    assert "not known" in out[-2]
    answer(monkeypatch, "probe", replace(found, information=replace(told, upper=None, position=3)))
    assert any("of the code at position 3" in line for line in command("probe", "RUN"))


def test_arithmetic(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    found = Arithmetic("mean of 2 sentences of a - mean of 3 sentences of b", 1.5, ["x y"], [0.0, 2.0], [["x", "z"]])
    calls = answer(monkeypatch, "arithmetic", found)
    out = command("arithmetic", "RUN", "x y", "--plus", "a", "--minus", "b", "--scale", "0", "--scale", "2")
    settings = {"plus": "a", "minus": "b", "scales": [0.0, 2.0], "checkpoint": "final", "num_beams": 1}
    assert calls == [(("RUN", ["x y"]), settings)]
    assert out[0] == f"z + scale * ({found.direction}); its length: 1.500 prior standard deviations"
    assert [line.strip() for line in out[1:]] == ["x y", "0  x", "2  z"]
    command("arithmetic", "RUN", "x", "y", "--plus", "a", "--minus", "b")
    assert calls[1][0] == ("RUN", ["x", "y"])
    assert "scales" not in calls[1][1]


def test_neighbours(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = answer(
        monkeypatch,
        "neighbours",
        [Neighbour(0.25, "a b", 7, "sea", UNITS["kl"]), Neighbour(1.5, "c", 12, None, UNITS["kl"])],
    )
    out = command("neighbours", "RUN", "a", "--count", "2", "--split", "valid", "--distance", "kl")
    assert calls == [(("RUN", "a"), {"count": 2, "split": "valid", "distance": "kl", "checkpoint": "final"})]
    assert out == ["distance: symmetric KL, nats", "0.250   7  sea  a b", "1.500  12  -    c"]
    answer(monkeypatch, "neighbours", [Neighbour(0.25, "a b", 7, None)])
    unit = "distance: between means, prior standard deviations"
    assert command("neighbours", "RUN", "a") == [unit, "0.250  7  a b"]
