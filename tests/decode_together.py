"""Run by `test_processes`, once for each process: decodes a split together with the others.

python tests/decode_together.py PORT PROCESSES PROCESS FILE
"""

import dataclasses
import sys
from pathlib import Path

import jax
import numpy as np
from test_evaluation import LAYOUT
from tiny import tiny_lm

from ipt_jax import evaluation, mesh
from ipt_jax.preparation import Preparer
from ipt_jax.search import Search
from ipt_jax.tasks import get_task


def decode(predictions: Path, cache: Path) -> None:
    """Writes what two prompts make of twelve examples, on all devices of all processes, into two files."""
    devices = mesh.make_mesh()
    lm = tiny_lm(max_position_embeddings=1024)
    on_all = mesh.replicated(devices)
    lm = dataclasses.replace(lm, params=jax.device_put(jax.tree.map(np.asarray, lm.params), on_all))
    split = Preparer(lm, get_task("sample"), cache).rows("test", 12, **LAYOUT)
    prompts = np.random.default_rng(0).standard_normal((2, 3, 32)).astype(np.float32)
    evaluation.predict(
        lm,
        get_task("sample"),
        jax.device_put(prompts, on_all),
        [evaluation.Member(split, predictions / f"{k}.jsonl") for k in range(2)],
        Search(6, num_beams=2),
        batch_size=8,
        devices=devices,
        title="decode",
    )


if __name__ == "__main__":
    port, processes, process, folder = sys.argv[1:]
    jax.distributed.initialize(f"localhost:{port}", int(processes), int(process))
    decode(Path(folder), Path(folder) / f"cache{process}")
