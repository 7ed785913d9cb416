"""The TPU's attention kernel against attention written out; on other machines it runs in Pallas's TPU interpreter."""

import contextlib
import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from devices import simulated
from jax.experimental.pallas import tpu as pallas_tpu
from model_cases import load_case
from paths import HELPERS, ROOT
from tolerances import ALIBI_KERNEL, ATTENTION_GRADIENT, ELEMENTARY, GRADIENT, close

from ipt_jax.errors import InputError
from ipt_jax.models import loading
from ipt_jax.models.attention import causal, tpu
from ipt_jax.models.attention.causal import causal_attention
from ipt_jax.models.attention.rule import ScoreRule, alibi_slopes, plain_attention
from ipt_jax.models.rematerialisation import REMATERIALISATIONS

HEADS, GROUPS, WIDTH, LENGTH = 6, 2, 8, 150
SLOPES = alibi_slopes(12)[-HEADS:]  # four of them are no bfloat16 numbers
RULES = {
    "plain": ScoreRule(WIDTH**-0.5),
    "alibi": ScoreRule(0.3, slopes=SLOPES),
    "window": ScoreRule(0.3, window=40),
    "softcap and window": ScoreRule(0.3, softcap=1.5, window=40),
    "all of a scanned layer": ScoreRule(jnp.float32(0.3), window=jnp.int32(40)),
}
# Quicker than the interpreter that plays a TPU's memory, and the only one under rematerialisation and over a mesh.
PLAIN_INTERPRETER = True
ON_TPU = jax.default_backend() == "tpu"


@pytest.fixture(params=RULES)
def rule(request):
    return RULES[request.param]


def on_tpu_or(interpreter):
    return contextlib.nullcontext() if ON_TPU else pallas_tpu.force_tpu_interpret_mode(interpreter)


def random_heads(dtype=jnp.float32, length=LENGTH, width=WIDTH):
    """Query, key and value, and what weighs the result in a sum to differentiate."""
    shapes = [(2, length, heads, width) for heads in (HEADS, GROUPS, GROUPS, HEADS)]
    return [jax.random.normal(jax.random.key(i), shape, dtype) for i, shape in enumerate(shapes)]


def answers(attend, rule):
    """A fresh function, jitted: query, key, value, weights → the result and the three gradients of its weighed sum."""

    def loss(query, key, value, weights):
        mixed = attend(query, key, value, rule)
        return jnp.sum(mixed.astype(jnp.float32) * weights.astype(jnp.float32)), mixed

    return jax.jit(lambda *args: (lambda out: (out[0][1], *out[1]))(jax.value_and_grad(loss, (0, 1, 2), True)(*args)))


def trace(rule, dtype):
    with jax.default_matmul_precision("highest"):  # as in the decoder
        return answers(tpu.tpu_attention, rule).trace(*random_heads(dtype))


@pytest.mark.parametrize(
    "interpreter",
    [PLAIN_INTERPRETER, pytest.param(pallas_tpu.InterpretParams(), marks=pytest.mark.slow)],
    ids=["plain", "with a TPU's memory"],
)
def test_the_kernel_gives_result_and_gradients_of_attention_written_out(rule, interpreter, monkeypatch):
    monkeypatch.setattr(tpu, "_LONGEST", 128)  # more than one block: LENGTH is padded to two
    inputs = random_heads()
    with on_tpu_or(interpreter):
        ours = answers(tpu.tpu_attention, rule)(*inputs)
    for x, y in zip(ours, answers(plain_attention, rule)(*inputs), strict=True):
        close(x, y, ATTENTION_GRADIENT if rule.slopes is None else ALIBI_KERNEL)


def test_bfloat16_queries_and_keys_carry_slopes_and_positions_with_all_their_bits():
    length, heads = 1100, jnp.zeros((1, 1100, HEADS, WIDTH), jnp.bfloat16)
    query, key = tpu._with_distances(heads[:, :1], heads[:, :, :1], SLOPES)
    scores = jnp.einsum("btnh,bsgh->ns", query, key, preferred_element_type=jnp.float32)
    expected = SLOPES[:, None].astype(np.float64) * np.arange(length)
    close(scores, expected, ELEMENTARY, scale=expected)


def test_in_bfloat16_the_kernel_is_as_near_to_float32_as_attention_written_out():
    rule, inputs = ScoreRule(0.25, slopes=SLOPES), random_heads(jnp.bfloat16)
    exact = answers(plain_attention, rule)(*(x.astype(jnp.float32) for x in inputs))
    with on_tpu_or(PLAIN_INTERPRETER):
        ours = answers(tpu.tpu_attention, rule)(*inputs)
    for x, y, true in zip(ours, answers(plain_attention, rule)(*inputs), exact, strict=True):
        assert x.dtype == jnp.bfloat16
        assert np.abs(x.astype(jnp.float32) - true).mean() < 1.5 * np.abs(y.astype(jnp.float32) - true).mean()


def test_every_rule_is_lowered_for_tpus_forward_and_backward(rule):
    lowered = trace(rule, jnp.bfloat16).lower(lowering_platforms=("tpu",)).as_text()
    assert lowered.count("@tpu_custom_call") == 3  # the result, the query's gradient, those of key and value


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float32])
def test_both_passes_take_the_highest_precision_in_float32_only(dtype):
    products = re.findall(r"dot_general\[.*?precision=(\S+)", str(trace(RULES["plain"], dtype).jaxpr), re.DOTALL)
    # Two forward, one for what both gradients need, three for the query's, four for those of key and value.
    assert len(products) == 10
    assert {"HIGHEST" in precision for precision in products} == {dtype == jnp.float32}


@pytest.mark.parametrize(("policy", "times"), [("none", 1), ("dots", 1), ("block", 2)])
def test_only_the_policy_that_keeps_nothing_runs_the_kernel_again_for_the_gradient(policy, times):
    query, key, value, _ = random_heads()

    def total(query, key, value):
        def layer(query, _):
            return query + jnp.tanh(tpu.tpu_attention(jnp.sin(query), key, value, RULES["plain"])), None

        return jax.lax.scan(REMATERIALISATIONS[policy](layer), query, jnp.arange(3))[0].sum()

    gradient = jax.jit(jax.grad(total, argnums=(0, 1, 2)))  # of all three: a kernel whose result is not used may go
    lowered = gradient.trace(query, key, value).lower(lowering_platforms=("tpu",)).as_text()
    assert lowered.count("@tpu_custom_call") == times + 2


@pytest.mark.parametrize(
    ("case", "with_gradient"),
    [("gemma2", False), *(pytest.param(name, True, marks=pytest.mark.slow) for name in ("gemma2", "bloom_six_heads"))],
)
def test_the_decoder_gives_the_same_by_the_kernel_as_by_xla(case, with_gradient):
    plain, params, golden = load_case(case)
    decoder = dataclasses.replace(plain, attention="tpu")
    rows, places, last = plain.embed(params, golden["tokens"]), jnp.array([[1, 3]] * 2), jnp.array([3, 2])
    rows = rows[:2]

    def everything(decoder):
        gradient = jax.grad(lambda rows: (decoder.hidden_at(params, rows, places) ** 2).sum())
        forward = lambda rows: decoder.hidden(params, rows)  # noqa: E731
        prefill = lambda rows: decoder.prefill(params, rows, last)  # noqa: E731
        asked = (forward, gradient, prefill) if with_gradient else (forward,)
        return jax.jit(lambda rows: [each(rows) for each in asked])

    with on_tpu_or(PLAIN_INTERPRETER):
        ours = everything(decoder)(rows)
    for x, y in zip(jax.tree.leaves(ours), jax.tree.leaves(everything(plain)(rows)), strict=True):
        close(x, y, GRADIENT)


def test_a_rule_that_the_kernel_lacks_goes_to_attention_written_out():
    rule, (query, key, value, _) = ScoreRule(0.3, softcap=1.5, slopes=SLOPES), random_heads()
    ours = causal_attention(query, key, value, rule, implementation="tpu")  # the kernel would not run here
    np.testing.assert_array_equal(ours, plain_attention(query, key, value, rule))


ON_FOUR_DEVICES = """
import sys
import jax
from jax.experimental.pallas import tpu as pallas_tpu
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from tolerances import ATTENTION_GRADIENT, close
from test_tpu import PLAIN_INTERPRETER, RULES, answers, plain_attention, random_heads, tpu
rule, inputs = RULES["all of a scanned layer"], random_heads()
expected = answers(plain_attention, rule)(*inputs)
for shape in ((2, 2), (1, 4)):  # four devices for two key-value heads: each has all heads
    mesh = jax.make_mesh(shape, ("data", "model"), axis_types=(AxisType.Auto,) * 2)
    spread = [jax.device_put(x, NamedSharding(mesh, PartitionSpec("data"))) for x in inputs]
    with pallas_tpu.force_tpu_interpret_mode(PLAIN_INTERPRETER):
        ours = answers(tpu.tpu_attention, rule)(*spread)
    for x, y in zip(ours, expected, strict=True):
        close(x, y, ATTENTION_GRADIENT)
    jax.jit(answers(tpu.tpu_attention, rule)).trace(*spread).lower(lowering_platforms=("tpu",))
print("same")
"""


@pytest.mark.slow
def test_on_a_mesh_each_device_runs_the_kernel_on_its_own_rows_and_heads():
    places = (ROOT, HELPERS, Path(__file__).parent)
    environment = {**simulated(4), "PYTHONPATH": os.pathsep.join(map(str, places))}
    command = [sys.executable, "-c", ON_FOUR_DEVICES]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.stdout.endswith("same\n"), done.stderr[-3000:]


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="asks what a machine with a CPU alone answers")
@pytest.mark.parametrize(("name", "needs"), [("tpu", "needs a TPU"), ("cudnn", "needs an NVIDIA GPU")])
def test_an_implementation_without_its_device_is_refused_before_anything_is_read(name, needs):
    with pytest.raises(InputError, match=rf"model\.attention='{name}' {needs}, but jax found cpu .*choose 'xla'"):
        loading.load("nothing-is-read", dtype="bfloat16", attention=name)


@pytest.mark.parametrize(
    ("capability", "width", "complaint"),
    [("8.0", 128, None), ("9.0", 256, None), ("10.3", 256, None), ("8.0", 256, "up to 128"), ("9.0", 100, "100 wide")],
)
def test_cudnn_is_refused_for_heads_that_the_card_does_not_take(capability, width, complaint, monkeypatch):
    class Card:
        device_kind, compute_capability = "card", capability

    monkeypatch.setattr(jax, "devices", lambda: [Card])
    with pytest.raises(InputError, match=complaint) if complaint else contextlib.nullcontext():
        causal.check_head_width("cudnn", width)
    causal.check_head_width("xla", width)
