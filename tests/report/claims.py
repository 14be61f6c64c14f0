"""A theory.json made without computing: a claim that holds, one that fails, a figure of every kind."""

from typing import Any

EVIL = '</script><script>alert(1)</script> & "x"'
_CODES = [[0.0, 1.0], [1.0, -1.0]]
FIGURES: dict[str, dict[str, Any]] = {
    "tradeoff": {
        "points": [
            {"beta": b, "rate": 1.0 / (1.0 + b), "distortion": 1.0 + b / (1.0 + b)} for b in (0.1, 0.5, 1.0, 4.0)
        ],
        "entropy": 1.7,
    },
    "bound": {"bounds": [3.0, 2.5, 2.3], "nll": 2.0, "neg_elbo": 3.0},
    "gaussian": {},
    "water": {"variances": [4.0, 1.0, 0.1]},
    "rules": {
        "latents": [[0.1, 1.1], [0.9, -0.8]],
        "codes": _CODES,
        "chosen": [0, 1],
        "pushes": {
            "published": {"latents": _CODES, "codes": [[0.0, 0.0]] * 2},
            "both": {"latents": _CODES, "codes": _CODES},
        },
    },
    "course": {"neg_elbo": [8.0, 7.0, 6.9]},
    "steps": {"probability": [0.4, 0.3, 0.2, 0.1]},
    "ring": {},
    "channel": {"dots": [[0.0, 0.69], [0.5, 0.0]]},
    "collapse": {},
}


def check(*, passed: bool = True, **changed: Any) -> dict[str, Any]:
    """An entry of a claim's checks."""
    return {
        "what": f"the worst of 5 $x_i$ {EVIL}",
        "computed": 1.25 if passed else None,
        "closed_form": r"$\frac{5}{4}$",
        "expected": 1.25,
        "difference": 2.2e-16 if passed else None,
        "tolerance": 1e-12,
        "relation": "=",
        "unit": "nats",
        "passed": passed,
    } | changed


def theory() -> dict[str, Any]:
    """The content of theory.json."""
    claims = [
        {
            "name": f"T{i}",
            "title": f"A title <b>{kind}</b>",
            "claim": f"For $x$ it holds that `x` is -1. {EVIL}",
            "equation": r"\sum_{k=1}^{K} \frac{P_{pri}(z_k) P_{dec}(y|z_k)}{P_{enc}(z_k|y)} \leq -ELBO, \quad a = b",
            "passed": kind != "ring",
            "seconds": 0.1,
            "checks": [check(), check(passed=kind != "ring"), check(relation=">=", difference=0.5)],
            "figure": {"kind": kind, "data": data},
        }
        for i, (kind, data) in enumerate(FIGURES.items(), 1)
    ]
    claims.append(claims[0] | {"name": "T17", "figure": None})
    return {"passed": False, "claims": claims, "seconds": 12.3, "versions": {"textlatent": "0", "torch": "2"}}
