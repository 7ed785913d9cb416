"""Run by `test_population` on eight simulated devices: prints how far populations laid out differently end apart."""

import json
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
from jax.sharding import AxisType
from ml_collections import FrozenConfigDict
from tiny import tiny_lm
from tolerances import error_of
from training_rows import make_rows

from ipt_jax.adapters.files import load_prompt
from ipt_jax.configs import common
from ipt_jax.experiment import population
from ipt_jax.experiment.expand import expand
from ipt_jax.experiment.run import Run
from ipt_jax.training import feed
from ipt_jax.workdir.run_folder import RunFolder

MEMBERS, STEPS, P = 8, 8, 4
LM = tiny_lm()


def mesh_of(count):
    shape, names = (count, 1), ("data", "model")
    return jax.make_mesh(shape, names, axis_types=(AxisType.Auto,) * 2, devices=jax.devices()[:count])


def train(workdir, devices, axis, learning_rate=1e-2, members=MEMBERS):
    """f32[K, P, E], the prompts after their training."""
    config = common.get_config()
    config.layout.prompt_tokens, config.prompt.hidden = P, 8
    config.training.update({"steps": STEPS, "eval_every": STEPS, "learning_rate": learning_rate})
    config.runs = {"pt": {"seed": tuple(range(members))}}
    rows, members = make_rows(LM), []
    for name, settings in expand(config):
        run = Run(name, FrozenConfigDict(settings), "data")
        start = np.random.default_rng(run.settings.seed).standard_normal((P, 32)).astype(np.float32)
        members.append(population.Member(run, RunFolder(workdir, run.id), rows, rows[:4], start))
        members[-1].folder.path.mkdir(parents=True, exist_ok=True)
    population.train_population(
        LM,
        members,
        mesh_of(devices),
        workdir,
        population.Arrangement(len(members), "dots", axis),
        SimpleNamespace(checkpoint_every=100, log_every=1, trackers="", warn_after=STEPS),
        title=f"{devices} devices, {axis}",
    )
    return np.stack([load_prompt(member.folder.prompt) for member in members])


def train_until_four(workdir, *arguments, **settings):
    """SIGTERM comes while the batch of step 4 is made: the steps of the newest checkpoint are then 3 or 4."""
    batch = feed.Feed.batch

    def preempted_at_four(self, step):
        if step == 3:
            signal.raise_signal(signal.SIGTERM)
        return batch(self, step)

    feed.Feed.batch = preempted_at_four
    try:
        train(workdir, *arguments, **settings)
        raise AssertionError("SIGTERM did not stop the training")
    except SystemExit:
        feed.Feed.batch = batch
    (state,) = workdir.glob("populations/*/checkpoints/[1-9]*")
    return int(state.name)


def main():
    workdir = Path(sys.argv[1])
    alone = train(workdir / "one", 1, "rows")
    stopped_at = train_until_four(workdir / "resumed", 1, "rows")
    ends = {
        "rows": train(workdir / "rows", 8, "rows"),
        "members": train(workdir / "members", 8, "members"),
        "resumed": train(workdir / "resumed", 4, "members"),
    }
    errors = {name: error_of(end, alone) for name, end in ends.items()}
    told = {
        "errors": errors,
        "stopped_at": stopped_at,
        "apart": float(np.abs(alone[0] - alone[1]).max()),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main()
