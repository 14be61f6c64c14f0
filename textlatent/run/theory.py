"""theory: every claim computed, as theory.json and as a page to project."""

import json
import time
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from textlatent import __version__
from textlatent.report.theory import theory_page
from textlatent.theory.claims import find_claims, show
from textlatent.training.checkpoint import write_text

Progress = Callable[[dict[str, Any]], None]


def theory(
    claims: Iterable[str] = (), *, out: str | Path = "runs/theory", progress: Progress | None = None
) -> dict[str, Any]:
    """The claims, each with what was computed, its closed form and the difference; written to OUT.

    theory.json holds what is returned; theory.html shows it.

    Args:
        claims: their names, "T7"; all twenty if none is named.
        out: the folder.
        progress: called with {"event": "claim", "claim": its entry of theory.json, "number", "of"} after each.

    Raises:
        ValueError: a name that no claim has.
    """
    names = find_claims(claims)
    started, rows = time.perf_counter(), []
    for number, (row, seconds) in enumerate(show(names), 1):
        rows.append(row.to_dict() | {"seconds": round(seconds, 3)})
        if progress is not None:
            progress({"event": "claim", "claim": rows[-1], "number": number, "of": len(names)})
    found = {
        "passed": all(row["passed"] for row in rows),
        "claims": rows,
        "seconds": round(time.perf_counter() - started, 1),
        "versions": {"textlatent": __version__, "torch": version("torch")},
    }
    folder = Path(out)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "theory.json", json.dumps(found, indent=1, allow_nan=False, ensure_ascii=False))
    write_text(folder / "theory.html", theory_page(found))
    return found
