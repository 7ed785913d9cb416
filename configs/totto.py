"""The package's ipt_jax/configs/totto.py, at hand for those who work in the checkout."""

from ipt_jax.configs.totto import *
