"""The package's ipt_jax/configs/paper/prompt_length.py, at hand for those who work in the checkout."""

from ipt_jax.configs.paper.prompt_length import *
