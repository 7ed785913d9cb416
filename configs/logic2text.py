"""The package's ipt_jax/configs/logic2text.py, at hand for those who work in the checkout."""

from ipt_jax.configs.logic2text import *
