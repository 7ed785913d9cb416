"""The programs of a model over a mesh, compiled for shapes alone: what their devices send, beside what is planned.

    python -m benchmarks.programs --shape=llama-2-7b --data=8 --model=8

compiles, for simulated CPU devices, the training step and the prefill with all layers, and the decode step, whose
layers are not scanned, with `--decode_layers`. Nothing is allocated: a program for 64 devices and 7 billion
parameters takes some seconds. It is compiled in float32, because the CPU's compiler sums bfloat16 in float32.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import documents

# Sums of a few numbers (losses, counts, largest logits) are not listed one by one.
SMALL = 2**14


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", default="llama-2-7b", help="a name in benchmarks/shapes.py")
    parser.add_argument("--change", action="append", default=[], help="LEAF=VALUE of its config.json")
    parser.add_argument("--data", type=int, default=8, help="groups of devices that share out the rows")
    parser.add_argument("--model", type=int, default=8, help="devices of a group, which share the model")
    parser.add_argument("--members", type=int, default=1, help="prompts that are trained together")
    parser.add_argument("--rows", type=int, default=8, help="of a batch, of all groups")
    parser.add_argument("--tokens", type=int, default=256, help="of a row")
    parser.add_argument("--targets", type=int, default=64, help="tokens of a row that are learned")
    parser.add_argument("--prompt_rows", type=int, default=25)
    parser.add_argument("--decode_layers", type=int, default=4)
    parser.add_argument("--programs", default="training,prefill,decode")
    parser.add_argument(
        "--axis", default="rows", help="which stands first where rows of several prompts run as one batch"
    )
    parser.add_argument("--rematerialisation", default="dots")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--into", type=Path, help="a document whose block `programs` is replaced")
    flags = parser.parse_args()
    devices = f"--xla_force_host_platform_device_count={flags.data * flags.model}"
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {devices}"
    os.environ["JAX_PLATFORMS"] = "cpu"
    os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "0"
    reports = [report(name, flags) for name in flags.programs.split(",")]
    if flags.json:
        print(json.dumps(reports))
    else:
        documents.show("\n\n".join(map(_text, reports)), "programs", flags.into)


def report(program: str, flags: Any) -> dict[str, Any]:
    """A program's collectives, compiled and planned, as [kind, axis, bytes, count]; its arithmetic and bytes."""
    import jax
    from jax.sharding import AxisType

    from benchmarks import compiled
    from benchmarks.shapes import config_of
    from ipt_jax.cost import exchanges
    from ipt_jax.runtime.mesh import Spread

    changes = {leaf: json.loads(value) for leaf, value in (change.split("=") for change in flags.change)}
    if program == "decode":
        config = config_of(flags.shape, **{_layers_leaf(flags.shape): flags.decode_layers} | changes)
    else:
        config = config_of(flags.shape, **changes)
    mesh = jax.make_mesh((flags.data, flags.model), ("data", "model"), axis_types=(AxisType.Auto,) * 2)
    build = {"training": _training, "prefill": _prefill, "decode": _decode}[program]
    done, planned = build(config, mesh, flags)
    exchanged, held = compiled.exchanges(done.as_text()), done.memory_analysis()
    found = compiled.summary(exchanged, flags.data, flags.model)
    return {
        "program": program,
        "layers": config.num_layers,
        "compiled": [[*key, count] for key, count in found.items()],
        "planned": [[*each] for each in planned],
        "sent": exchanges.total(planned, Spread(flags.data, flags.model))[0],
        "flop": done.cost_analysis()["flops"],
        "arguments": held.argument_size_in_bytes,
        "temporary": held.temp_size_in_bytes,
        "origins": sorted({(each.kind, each.bytes, each.origin) for each in exchanged if each.bytes >= SMALL}),
    }


def _layers_leaf(shape: str) -> str:
    from benchmarks.shapes import SHAPES

    return "num_hidden_layers" if "num_hidden_layers" in SHAPES[shape] else "n_layer"


def _model(config: Any, mesh: Any) -> tuple[Any, Any]:
    """The decoder, and its parameters as shapes that lie over the mesh."""
    import jax.numpy as jnp

    from ipt_jax.models.decoder import FrozenDecoder
    from ipt_jax.models.sharding import laid_out, spread_heads

    own = spread_heads(config, mesh.shape["model"])
    decoder, shapes = FrozenDecoder.abstract(own, jnp.float32, parts=mesh.shape["model"])
    return decoder, laid_out(own, shapes, mesh)


def _shape(mesh: Any, spec: Sequence[Any], *dims: int, dtype: str = "int32") -> Any:
    import jax
    from jax.sharding import NamedSharding, PartitionSpec

    return jax.ShapeDtypeStruct(dims, dtype, sharding=NamedSharding(mesh, PartitionSpec(*spec)))


def _training(config: Any, mesh: Any, flags: Any) -> tuple[Any, Any]:
    """`Trainer.step` on batches whose rows are spread over `data`, as `train_population` puts them."""
    import jax
    import numpy as np

    from ipt_jax.adapters.soft_prompt import SoftPrompts
    from ipt_jax.cost import exchanges
    from ipt_jax.rows.batching import Batch
    from ipt_jax.runtime.mesh import Spread
    from ipt_jax.training.recipe import Recipe
    from ipt_jax.training.step import Trainer

    decoder, params = _model(config, mesh)
    start = np.zeros((flags.members, flags.prompt_rows, config.embed_dim), np.float32)
    prompts, prompt_params = SoftPrompts.create(
        start, reparameterisation="none", hidden=1, member_seeds=list(range(flags.members))
    )
    trainer = Trainer(decoder, prompts, Recipe(10, 1), flags.rematerialisation, flags.axis)
    state = jax.tree.map(
        lambda leaf: _shape(mesh, (), *leaf.shape, dtype=leaf.dtype), jax.eval_shape(trainer.init, prompt_params)
    )
    rows, targets = (flags.members, flags.rows), (flags.members, flags.rows, flags.targets)
    spread = (None, "data")
    batch = Batch(
        _shape(mesh, spread, *rows, flags.tokens),
        _shape(mesh, spread, *targets),
        _shape(mesh, spread, *targets),
        _shape(mesh, spread, *targets, dtype="float32"),
    )
    rates = _shape(mesh, (), flags.members, dtype="float32")
    done = Trainer.step.lower(trainer, state, params, rates, batch).compile()
    own = flags.members * flags.rows / mesh.shape["data"]
    planned = exchanges.training_step(
        config,
        Spread(**mesh.shape),
        exchanges.Rows(
            own * flags.tokens,
            own * flags.tokens,
            own * flags.targets,
            prompts=flags.members * flags.prompt_rows / (mesh.shape["data"] if flags.axis == "members" else 1),
        ),
        itemsize=4,
        gradient_bytes=4 * start.size,
        recomputed=flags.rematerialisation == "block",
        added_first=False,
    )
    return done, planned


def _prefill(config: Any, mesh: Any, flags: Any) -> tuple[Any, Any]:
    """The program with which a group of rows enters slots."""
    from ipt_jax.cost import exchanges
    from ipt_jax.decoding import slots

    static, arguments = _entering(config, mesh, flags)
    done = slots._enter.lower(static, *arguments).compile()
    own = flags.rows / mesh.shape["data"]
    rows = exchanges.Rows(own * flags.tokens, own * (flags.tokens + flags.prompt_rows), own)
    return done, exchanges.inference(config, mesh.shape["model"], rows, itemsize=4)


def _decode(config: Any, mesh: Any, flags: Any) -> tuple[Any, Any]:
    """The program that writes tokens until rows are finished: a loop of unknown length, of which one round counts."""
    import jax
    import numpy as np

    from ipt_jax.cost import exchanges
    from ipt_jax.decoding import slots

    static, arguments = _entering(config, mesh, flags)
    params, stops = arguments[0].params, arguments[0].stops
    rows, carried = slots._answer(slots._enter, static, *arguments)
    unstack = slots._unstack.lower(static, params).compile()
    layers = jax.tree.map(
        lambda leaf, layout: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=layout),
        jax.eval_shape(static.decoder.unstack, params),
        unstack.output_shardings,
    )
    number = np.int32(0)
    done = slots._advance.lower(static, (params, layers, stops), rows, carried, number, number).compile()
    own = flags.rows / mesh.shape["data"]
    return done, exchanges.inference(config, mesh.shape["model"], exchanges.Rows(own, own, own), itemsize=4)


def _entering(config: Any, mesh: Any, flags: Any) -> tuple[Any, tuple[Any, ...]]:
    """What `slots` compiles its programs for, and the arguments of the one that rows enter with."""
    from ipt_jax.decoding import slots
    from ipt_jax.decoding.greedy import Greedy
    from ipt_jax.decoding.strategy import Entering

    decoder, params = _model(config, mesh)
    prompts = _shape(mesh, (), flags.members, flags.prompt_rows, config.embed_dim, dtype="float32")
    stops = _shape(mesh, (), config.vocab_size)
    index, lengths = (_shape(mesh, ("data",), flags.rows) for _ in range(2))
    tokens = _shape(mesh, ("data",), flags.rows, flags.tokens)
    static = slots.Static(decoder, Greedy(64), mesh)
    return static, (slots.Frozen(params, prompts, stops), Entering(index, index, tokens, lengths))


def _text(report: dict[str, Any]) -> str:
    from benchmarks.side_by_side import table

    sides = {"compiled": {}, "planned": {}}
    for side, rows in sides.items():
        for kind, axis, size, count in report[side]:
            key = (kind, axis, f"{size / 1e6:,.3f}") if size >= SMALL else (kind, axis, "small")
            rows[key] = rows.get(key, 0) + count
    keys = sorted({*sides["compiled"], *sides["planned"]})
    rows = [[*key, *(f"{side.get(key, 0):,.0f}" for side in sides.values())] for key in keys]
    heading = (
        f"{report['program']}, {report['layers']} layers: {report['sent'] / 1e6:,.1f} MB sent by a device, which holds "
        f"{report['arguments'] / 1e9:,.2f} GB of arguments and {report['temporary'] / 1e9:,.2f} GB besides"
    )
    return f"{heading}\n\n{table(['kind', 'axis', 'MB', 'compiled', 'planned'], rows)}"


if __name__ == "__main__":
    main()
