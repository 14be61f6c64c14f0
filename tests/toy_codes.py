"""A recipe with codes over the toy sentences of tests/toy_run.py, so that a run takes a second or two."""

from pathlib import Path
from typing import Any

from tests.toy_run import merged, toy_recipe

CODES: dict[str, Any] = {"positions": 2, "codes": 4, "size": 4}


def toy_codes(folder: Path, *changes: dict[str, Any], name: str = "codes") -> dict[str, Any]:
    """K^P = 16 codes, so that every sentence's likelihood can be summed over all of them."""
    values = toy_recipe(folder, name=name)
    values["model"] = {
        "type": "vq",
        "codebook": CODES,
        "encoder": values["model"]["encoder"],
        "decoder": values["model"]["decoder"],
    }
    return merged(values, {"training": {"steps": 40, "validate_every": 20, "sample_every": 20}}, *changes)
