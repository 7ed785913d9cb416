"""The package's ipt_jax/configs/paper/base.py, at hand for those who work in the checkout."""

from ipt_jax.configs.paper.base import *
