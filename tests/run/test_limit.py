"""limit: the decoder's table over all codes, against the model's own scores; what it writes; who it refuses."""

import json
import math
from pathlib import Path

import pytest

from tests.toy_run import CODES, toy_recipe
from textlatent.run import Run, limit, train
from textlatent.training.evaluate import evaluate


@pytest.fixture(scope="module")
def coded(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(toy_recipe(tmp_path_factory.mktemp("limit"), CODES))


def test_the_models_own_point_is_that_of_its_scores(coded: Run) -> None:
    told: list[dict] = []
    found = limit(coded, split="valid", sentences=1000, progress=told.append)
    scores = evaluate(coded.model_at("final"), coded.split("valid"), pad_id=coded.tokenizer.pad_token_id)
    assert found.distortion == pytest.approx(float(scores.distortion().mean()), abs=1e-4)
    assert found.rate == pytest.approx(2 * math.log(6), abs=1e-6)
    assert found.sentences == len(scores)
    assert found.codes == 36
    assert found.excess >= 0.0
    assert told[-1]["done"] == told[-1]["total"] == 36
    assert json.loads((coded.folder / "limit.json").read_text()) == json.loads(json.dumps(found.to_dict()))
    assert (coded.folder / "limit.png").stat().st_size > 10_000


def test_who_it_refuses(coded: Run, trained: Run, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="limit needs a model with codes"):
        limit(trained)
    with pytest.raises(ValueError, match=r"over all 6\^2 codes, more than 35"):
        limit(coded, codes=35)
