"""Tables and progress: a bar and boxes on a terminal, plain lines elsewhere, the same numbers in both."""

import io

from rich.console import Console

from textlatent.cli.progress import duration, numbers, sentences_of, watch
from textlatent.cli.show import number, say, table

LOG = {
    "event": "log",
    "step": 20,
    "steps": 100,
    "stage": "train",
    "rate_nats": 3.14159,
    "distortion_nats": 20.5,
    "beta": 0.25,
    "tokens_per_second": 12345.6,
    "seconds": 10.0,
}
VALIDATE = {
    "event": "validate",
    "step": 20,
    "rate_nats": 3.0,
    "distortion_nats": 21.0,
    "neg_elbo_nats": 24.0,
    "best": True,
}
SAMPLE = {
    "event": "sample",
    "step": 20,
    "samples": ["a [red] dog ."],
    "originals": ["a cat ."],
    "reconstructions": ["a dog ."],
}


def _consoles() -> tuple[Console, Console]:
    plain = Console(file=io.StringIO(), force_terminal=False)
    return plain, Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)


def _text(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_numbers_of_a_step() -> None:
    assert numbers(LOG) == "rate 3.14  distortion 20.50  beta 0.250  12,346 tokens/s"


def test_plain_lines_say_everything() -> None:
    console, _ = _consoles()
    with watch(console) as progress:
        for event in (LOG, {"event": "note", "text": "a [bold] note"}, VALIDATE, SAMPLE):
            progress(event)
    assert _text(console).splitlines() == [
        "step 20/100  rate 3.14  distortion 20.50  beta 0.250  12,346 tokens/s  0:40 left",
        "a [bold] note",
        "step 20: validation  rate 3.00  distortion 21.00  -ELBO 24.00  (the best so far)",
        "step 20: sample: a [red] dog .",
        "step 20: a cat .  ->  a dog .",
    ]


def test_plain_lines_are_few_and_the_last_step_is_among_them() -> None:
    console, _ = _consoles()
    with watch(console) as progress:
        for step in range(1, 101):
            progress(LOG | {"step": step})
        for done in range(1, 101):
            progress({"event": "progress", "what": "scoring", "done": done, "total": 100})
    lines = _text(console).splitlines()
    assert [line.split()[1] for line in lines] == ["1/100", "100/100", "100/100"]
    assert lines[-1] == "scoring 100/100"


def test_a_terminal_sees_a_bar_with_the_same_numbers() -> None:
    _, console = _consoles()
    with watch(console) as progress:
        progress(LOG)
        progress(VALIDATE)
        progress(SAMPLE)
        progress({"event": "progress", "what": "scoring", "done": 5, "total": 10})
        progress(LOG | {"step": 100})
    text = _text(console)
    for part in (
        "20/100",
        "100/100",
        "rate 3.14",
        "12,346 tokens/s",
        "scoring",
        "5/10",
        "a [red] dog .",
        "-ELBO 24.00",
    ):
        assert part in text


def test_an_event_of_an_unknown_kind_is_passed_over() -> None:
    for console in _consoles():
        with watch(console) as progress:
            progress({"event": "ledger", "ledger": {}})
        assert "ledger" not in _text(console)


def test_tables() -> None:
    plain, terminal = _consoles()
    rows = [("rate", number(3.0)), ("-ELBO [x]", number(1234.5)), ("gap", number(None))]
    for console in (plain, terminal):
        table(console, ("name", "value"), rows, title="of test", right=(1,))
    assert _text(plain).splitlines() == [
        "of test",
        "rate           3.000",
        "-ELBO [x]  1,234.500",
        "gap                -",
    ]
    for cell in ("of test", "name", "value", "-ELBO [x]", "1,234.500"):
        assert cell in _text(terminal)


def test_a_long_line_is_not_wrapped() -> None:
    plain, terminal = _consoles()
    for console in (plain, terminal):
        say(console, "word " * 100)
        assert len(_text(console).splitlines()) == 1


def test_durations() -> None:
    assert [duration(s) for s in (0, 59.6, 61, 3600, 7325)] == ["0:00", "1:00", "1:01", "1:00:00", "2:02:05"]


def test_a_rate_that_is_undefined_is_called_so() -> None:
    """Of points; and rows of numbers have no tokens to count the speed in."""
    told = LOG | {"rate_nats": None, "neg_elbo_nats": None, "tokens_per_second": 0.0, "sentences_per_second": 2500.4}
    assert numbers(told) == "rate undefined  distortion 20.50  2,500 rows/s"
    event = {"event": "validate", "step": 7, "rate_nats": None, "neg_elbo_nats": None, "distortion_nats": 20.5}
    assert sentences_of(event) == ["step 7: validation  rate undefined  distortion 20.50"]


def test_no_number_is_a_dash() -> None:
    """The error of one sentence is not known: it reads as one that is not there."""
    assert (number(None), number(float("nan")), number(1234.5)) == ("-", "-", "1,234.500")
