"""docs/adding.md: its blocks are one program that runs, and the files it names are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/adding.md"


@pytest.mark.slow
def test_the_program_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 9
    program = compile("\n".join(blocks), str(PAGE), "exec")
    names: dict[str, object] = {"folder": tmp_path, "__name__": "adding"}
    exec(program, names)
    from textlatent.diagnostics.verdict import VERDICTS

    assert capsys.readouterr().out.split()[-1] in {word for verdict in VERDICTS for word in verdict.split()}
    assert (tmp_path / "metrics.jsonl").exists()


def test_the_files_it_names_are_there() -> None:
    named = set(re.findall(r"`((?:textlatent|tests)/[\w/.]*)`", PAGE.read_text(encoding="utf-8")))
    assert len(named) >= 12
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
