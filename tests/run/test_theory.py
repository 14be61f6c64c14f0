"""theory: what it writes, what it tells, and that the page shows it."""

import json
from pathlib import Path
from typing import Any

import pytest

from textlatent.run import theory


def test_it_writes_what_it_returns(tmp_path: Path) -> None:
    told: list[dict[str, Any]] = []
    found = theory(["T15", "t6b"], out=tmp_path / "new" / "folder", progress=told.append)
    folder = tmp_path / "new" / "folder"
    assert json.loads((folder / "theory.json").read_text()) == found
    assert [row["name"] for row in found["claims"]] == ["T6b", "T15"]
    assert found["passed"] is True
    assert all(row["seconds"] >= 0 for row in found["claims"])
    assert [(each["event"], each["number"], each["of"]) for each in told] == [("claim", 1, 2), ("claim", 2, 2)]
    assert [each["claim"] for each in told] == found["claims"]
    page = (folder / "theory.html").read_text()
    assert "2 of 2 claims hold" in page
    for row in found["claims"]:
        assert row["title"] in page


def test_an_unknown_claim_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no claim is called T99"):
        theory(["T99"], out=tmp_path / "folder")
    assert not (tmp_path / "folder").exists()
