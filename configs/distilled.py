"""The package's ipt_jax/configs/distilled.py, at hand for those who work in the checkout."""

from ipt_jax.configs.distilled import *
