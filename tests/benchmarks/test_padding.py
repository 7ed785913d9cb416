"""The benchmark of padding counts what a training run computes."""

from small_config import config_for

from benchmarks.padding import counted
from ipt_jax.experiment.experiment import resolve
from ipt_jax.plan.plan import preparers
from ipt_jax.training.feed import shapes_for


def test_the_share_of_real_positions_is_that_of_all_batches(lm_folder, cache):
    config = config_for(lm_folder, cache, "pt")
    config.training.steps, config.limit.train = 90, 30
    run, preparer_of = resolve(config)[0], preparers(config)
    task, method, rule, tokens, targets, programs = counted(preparer_of(run.settings), run, 2)
    assert (task, method, rule) == ("sample", "PT", "2")
    assert 0 < float(targets) < 1 and 0.6 < float(tokens) < 1 and int(programs) <= shapes_for(90) == 3
