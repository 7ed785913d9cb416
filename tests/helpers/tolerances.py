"""How close two numbers that should be equal must be: every tolerance by name, and the one comparison.

Where a limit comes from. Float32 rounds to 24 bits, which makes an operation wrong by up to U = 2⁻²⁴ of its result.
Errors of both signs mostly cancel, and so a sum of n terms is wrong by about √n · U (Higham and Mary, 2019), and what
went before is as if every number that entered had been off by about U. The `condition` says by how many U that moves
the result, relative to its largest number: the most that was seen when every weight and input was changed by a small
part of itself, with signs at random (by U in float64, by 2⁻¹³ and 2⁻¹⁶ in float32; they agree). Two computations may
err in opposite directions, and four times as much as is usual:

    limit = 4 · 2 · (condition + √n) · U

No error that was seen under SSE4_2 and AVX2, with and without XLA's optimisations and with one and four threads, is
above a quarter of its limit. To see the errors, and how far they are from their limits, on another machine:

    IPT_JAX_ERRORS=here.jsonl python -m pytest -m "numerics and not slow"
    python tests/tolerances.py here.jsonl
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import sys
from pathlib import Path

import numpy as np

U = 2.0**-24
ERRORS = "IPT_JAX_ERRORS"  # names the file to which every comparison adds a line


@dataclasses.dataclass(frozen=True)
class Tolerance:
    """`limit`: of an error relative to the largest number expected, and to no less than `least`."""

    name: str
    limit: float
    least: float = 0.0


def rounding(condition: float, terms: int) -> float:
    """The limit for float32, by the formula above."""
    return 4 * 2 * (condition + math.sqrt(terms)) * U


# A few operations one after another and no long sum: a rate, a slope, a score times a penalty.
ELEMENTARY = Tolerance("ELEMENTARY", 16 * U)

# Attention alone: 8 products make a score, up to 11 keys are mixed.
ATTENTION = Tolerance("ATTENTION", rounding(2.8, 11))
# With up to 150 keys, and with gradients to query, key and value.
ATTENTION_GRADIENT = Tolerance("ATTENTION_GRADIENT", rounding(4.1, 150))
# The TPU's kernel adds a slope times the key's position where others take the distance, which makes scores as large as
# 0.71 · 149: float32 rounds them by up to 64 U.
ALIBI_KERNEL = Tolerance("ALIBI_KERNEL", rounding(64, 150))
# bfloat16 has 8 bits, 2⁻⁹ of a number; cuDNN and we round weights, values and results to it at other places.
ATTENTION_BFLOAT16 = Tolerance("ATTENTION_BFLOAT16", 4 * 2 * 1.3 * 2.0**-9)

# The golden models have sums of 24 to 96 terms. One norm, attention or feed-forward network; then a layer of them.
PART = Tolerance("PART", rounding(14, 96))
LAYER = Tolerance("LAYER", rounding(33, 96))
# All layers and the head: most are below 40, but qwen2 and the llama with biases have 107, for their keys are large.
LOGITS = Tolerance("LOGITS", rounding(107, 96))
# A mean of negative log-probabilities: its own size is what most errors of logits are small beside.
LOSS = Tolerance("LOSS", rounding(8, 96))
# The loss's gradient in the prompt, through all layers and back. `make_goldens` takes none that is above 100; a prompt
# of twice the golden size, which a test of members has, reaches 250. Ours and torch's are equally far from float64's.
GRADIENT = Tolerance("GRADIENT", rounding(250, 96))
# Losses and their gradient from given hidden states: a sum over 37 words, one after another where a block is one word.
HEAD = Tolerance("HEAD", rounding(3.5, 37))
# Rows after training. A step of Adam divides the gradient by its own size, so that the way a row goes, which is no
# longer than the row itself, is as wrong as the gradients were; what they were wrong by early is not forgotten.
TRAINING = Tolerance("TRAINING", rounding(180, 96))
# Twenty steps at rates of up to 0.03, the losses on the way and the rows at the end: models of the other families stay
# below 12 and 195, llama's rows go 564 times as far as its weights and start were changed.
TRAJECTORY = Tolerance("TRAJECTORY", rounding(139, 96))
TRAJECTORY_PROMPT = Tolerance("TRAJECTORY_PROMPT", rounding(565, 96))
# Two values of the loss divided by the step between them, relative to the steepest slope: along a direction that is
# nearly level the slope itself would say nothing, for the losses round as they do on the steep ones.
FINITE_DIFFERENCE = Tolerance("FINITE_DIFFERENCE", 5e-4)

# A token's log-probability in the models of `tiny` moves by 42 U, with logits of up to 11. That of an answer is a sum,
# and so is its error; where a token is nearly certain the logits round as they do elsewhere, hence no less than 1.
LOG_PROBABILITY = Tolerance("LOG_PROBABILITY", rounding(42, 32), least=1.0)
# The same of the golden models, divided by the length: single tokens are from 9 to 287, the mean of ten tokens is not.
WRITTEN_SCORE = Tolerance("WRITTEN_SCORE", rounding(60, 96), least=1.0)

# Twelve numbers down a valley in six steps, each by itself.
OPTIMIZER = Tolerance("OPTIMIZER", rounding(5.6, 6))
# A prompt's MLP: layers of 5 to 8.
FOLD = Tolerance("FOLD", rounding(4, 8))
# The mean of up to 53 last hidden states of a model of `tiny`.
MEAN_STATE = Tolerance("MEAN_STATE", rounding(5.2, 53))
# A product of unit vectors of up to 32 numbers, of which each has been divided by a root.
COSINE = Tolerance("COSINE", rounding(1.6, 32))
# A score of BM25: a sum of what up to 64 words give, all of it positive.
BM25 = Tolerance("BM25", rounding(1, 64))

# SmolLM2: 30 layers whose longest sums have 1,536 terms; torch's answers are of the same weights.
SMOLLM2_LOGITS = Tolerance("SMOLLM2_LOGITS", rounding(6.3, 1536))
SMOLLM2_LOSS = Tolerance("SMOLLM2_LOSS", rounding(5.2, 1536))
# The mean of up to 32 log-probabilities, each the difference of two numbers as large as the logits, which reach 42; the
# mean of so many is wrong by √32 less, hence no less than 7.
SMOLLM2_SCORE = Tolerance("SMOLLM2_SCORE", rounding(5.7, 1536), least=7.0)


def error_of(actual, expected, scale=None, least: float = 0.0) -> float:
    """The largest difference, relative to the largest finite number expected and to no less than `least`.

    With `scale` each difference is relative to that instead: give `expected` itself where small numbers must be as
    right as large ones. What is not finite must be equal, or the error is infinite; NaN never is.
    """
    actual, expected = np.asarray(actual, np.float64), np.asarray(expected, np.float64)
    assert actual.shape == expected.shape, f"an array {list(actual.shape)} where {list(expected.shape)} was expected"
    finite = np.isfinite(expected)
    if not np.array_equal(actual[~finite], expected[~finite]) or not np.isfinite(actual[finite]).all():
        return math.inf
    differences = np.abs(actual[finite] - expected[finite])
    scale = (
        np.abs(expected[finite]).max(initial=0.0)
        if scale is None
        else np.abs(np.broadcast_to(scale, finite.shape)[finite])
    )
    scale = np.broadcast_to(np.maximum(scale, least), differences.shape)[differences > 0]
    if (scale == 0).any():
        return math.inf
    return float((differences[differences > 0] / scale).max(initial=0.0))


def within(error: float, tolerance: Tolerance) -> None:
    """Holds an error that `error_of` found, here or in another process, against its limit, and notes it."""
    if path := os.environ.get(ERRORS):
        test = os.environ.get("PYTEST_CURRENT_TEST", "").rpartition(" (")[0]
        row = {"test": test, "tolerance": tolerance.name, "error": float(error), "limit": tolerance.limit}
        with open(path, "a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
    assert error <= tolerance.limit, f"{tolerance.name}: an error of {error:.3g}, above its limit {tolerance.limit:.3g}"


def close(actual, expected, tolerance: Tolerance, scale=None) -> None:
    """The one comparison; `scale` as in `error_of`."""
    within(error_of(actual, expected, scale, tolerance.least), tolerance)


def table(paths: list[str]) -> str:
    """The largest error of each tolerance in each file, and how many times it fits into the limit, as Markdown."""
    largest: dict[str, dict[str, float]] = {}
    limits: dict[str, float] = {}
    for path in paths:
        for line in Path(path).read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            limits[row["tolerance"]] = row["limit"]
            errors = largest.setdefault(row["tolerance"], {})
            errors[path] = max(errors.get(path, 0.0), row["error"])

    def cell(name: str, path: str) -> str:
        error = largest[name].get(path)
        if error is None:
            return ""
        return f"{error:.1e} ({limits[name] / error:.1f})" if error else "0"

    lines = [
        ["tolerance", "limit", *(Path(path).stem for path in paths)],
        ["---"] * (2 + len(paths)),
        *([name, f"{limits[name]:.1e}", *(cell(name, path) for path in paths)] for name in sorted(limits)),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    print(table(sys.argv[1:]))
