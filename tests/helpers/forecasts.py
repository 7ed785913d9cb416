"""Forecasts of an experiment, by the names of its runs."""

from ipt_jax.experiment.expand import populations
from ipt_jax.experiment.experiment import resolve
from ipt_jax.plan import forecast, plan


def forecasts_of(config, workdir, sample=forecast.SAMPLE):
    preparer_of = plan.preparers(config)
    return {
        group[0].name: forecast.forecast(preparer_of(group[0].settings), group, workdir, sample)
        for group in populations(resolve(config))
    }
