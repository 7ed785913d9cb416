"""The sides of the training benchmark: our step, PEFT's, and a loop by hand that projects target rows alone.

Every side is given (folder, settings) and returns a round, see `side_by_side`; a round answers with a dict: `losses`
of its steps, `rows` of each step's batch, and `real_share`, which share of an epoch's positions, the prompt's left
aside, are real tokens. `ours` also runs with the package as it was at commit 57f9611 and later.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks import side_by_side
from benchmarks.side_by_side import Round
from benchmarks.training_cases import (
    RANK,
    Case,
    arrays_of,
    cross_section,
    lengths_of,
    sorted_batches,
    start_of,
    tokens_of,
)

LEARNING_RATE, STEPS, CLIP_NORM = 3e-3, 50, 1.0
TRAINED_STEPS = 1000


def ours(folder: Path, settings: dict[str, Any]) -> Round:
    """Steps of `Trainer` for all members, on batches as training makes them. Each member has its own copy of the rows.

    Batches are made beforehand, as training makes the next one while a step runs.
    """
    import jax
    import jax.numpy as jnp

    from benchmarks.profile import kernels

    case, members = Case(**settings["case"]), settings["members"]
    decoder, params = side_by_side.load_ours(folder, settings["dtype"], settings.get("attention", "xla"))
    limit = decoder.config.max_positions - case.prompt_rows
    epoch, batch_of = own_batches(case, members, limit)
    chosen = cross_section(case, epoch)
    batches = [batch_of(ids) for ids in chosen]

    adapters, adapter_params = _adapters_of(case, decoder.config, members)
    trainer = trainer_of(decoder, adapters, STEPS, warmup_steps=0, weight_decay=0.0, clip_norm=CLIP_NORM)
    state = trainer.init(adapter_params)
    rates = jnp.full((members,), LEARNING_RATE, jnp.float32)

    def one_step(place: int) -> float:
        nonlocal state
        state, metrics = trainer.step(state, params, rates, batches[place])
        jax.block_until_ready(state)
        return float(metrics.loss[0])

    share = np.sum(lengths_of(case)[epoch]) / sum(batch_of(ids).tokens[0].size for ids in epoch)
    again = _round(case, chosen, one_step, share)
    compiled = False

    def profiled() -> Any:
        nonlocal compiled
        if not compiled:
            compiled = True
            return again()
        return kernels(again, most=16)

    return profiled if settings.get("profile") else again


def _adapters_of(case: Case, config: Any, members: int) -> tuple[Any, Any]:
    """So many adapters that start alike, and their parameters."""
    if case.adapter == "prompt":  # also of a package from before there were other kinds
        from ipt_jax.adapters.soft_prompt import SoftPrompts

        rows = np.stack([start_of(case)] * members)
        return SoftPrompts.create(rows, reparameterisation="none", hidden=0, member_seeds=list(range(members)))
    from ipt_jax.adapters.kinds import KINDS

    settings = SimpleNamespace(
        adapter=SimpleNamespace(rank=RANK, alpha=RANK, rslora=False, freeze_first=False),
        prompt=SimpleNamespace(reparameterisation="none", residual=True),
    )
    return KINDS[case.adapter].create([arrays_of(case, config)] * members, settings, list(range(members)))


def trainer_of(decoder: Any, prompts: Any, steps: int, **recipe: Any) -> Any:
    """A trainer, also of a package from before recipes."""
    from ipt_jax.training.step import Trainer

    try:
        from ipt_jax.training.recipe import Recipe
    except ModuleNotFoundError:
        return Trainer(decoder, prompts, steps, **recipe)
    return Trainer(decoder, prompts, Recipe(steps, **recipe))


def own_batches(case: Case, members: int, limit: int) -> tuple[list[np.ndarray], Callable[[np.ndarray], Any]]:
    """The rows of each step of an epoch, and what makes a step's batch of them, as training does it.

    Shapes are those of a training of `TRAINED_STEPS`.
    """
    from ipt_jax.rows.batching import collate
    from ipt_jax.rows.layout import Row

    sizes = lengths_of(case)
    rows = [
        Row("", tuple(tokens.tolist()), int(source), (), 0, False)
        for tokens, (source, _) in zip(tokens_of(case), sizes, strict=True)
    ]
    epoch, lengths, more = sorted_batches(case), sizes.sum(axis=1), []
    if case.task:
        try:
            from ipt_jax.rows.order import Order
            from ipt_jax.runtime.shapes import few_shapes
            from ipt_jax.training.feed import shapes_for
        except ModuleNotFoundError:  # the package as it was before commit 0e74a07
            from ipt_jax.rows.batching import step_indices

            epoch = [step_indices(0, step, case.batch, tuple(lengths.tolist())) for step in range(len(epoch))]
            more = [limit]
        else:
            drawn = Order(0, lengths, case.batch).first(TRAINED_STEPS)
            needed = np.stack([lengths, sizes[:, 1]], axis=1)[drawn].max(axis=1)
            epoch, more = list(drawn[: len(epoch)]), [few_shapes(needed, shapes_for(TRAINED_STEPS), limit)]
    return epoch, lambda ids: collate([[rows[i] for i in ids]] * members, *more)


def peft(folder: Path, settings: dict[str, Any]) -> Round:
    """Steps of PEFT with the case's adapter, as its documentation trains: labels, loss, backward, AdamW."""
    import torch

    case = Case(**settings["case"])
    model = _peft_model(case, side_by_side.load_theirs(folder, settings["dtype"]))
    model.train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    loss_of = torch.compile(model) if settings.get("compile") else model

    def loss(tokens: Any, seen: Any, learned: Any) -> Any:
        labels = tokens.masked_fill(~learned, -100)
        return loss_of(input_ids=tokens, attention_mask=seen.long(), labels=labels, use_cache=False).loss

    return _torch_round(case, trained, loss)


def _peft_model(case: Case, base: Any) -> Any:
    """The base model under PEFT, with the adapter that our side starts from."""
    import peft
    import torch

    from ipt_jax.adapters.peft import lora_tensors, prefix_tensors
    from ipt_jax.models.loading import HF_FAMILIES

    family = case.model["model_type"]
    ours = HF_FAMILIES[family].config_from_hf(case.model)
    common = {"task_type": "CAUSAL_LM"}
    if case.adapter == "lora":
        lm = SimpleNamespace(decoder=SimpleNamespace(config=ours), family=family)
        tensors, rank, targets = lora_tensors(arrays_of(case, ours), lm)
        model = peft.get_peft_model(base, peft.LoraConfig(**common, r=rank, lora_alpha=rank, target_modules=targets))
        found = peft.set_peft_model_state_dict(model, {name: torch.from_numpy(each) for name, each in tensors.items()})
        assert not found.unexpected_keys
        return model
    kind = peft.PrefixTuningConfig if case.adapter == "prefix" else peft.PromptTuningConfig
    model = peft.get_peft_model(base, kind(**common, num_virtual_tokens=case.prompt_rows))
    start = start_of(case) if case.adapter == "prompt" else prefix_tensors(arrays_of(case, ours))["prompt_embeddings"]
    with torch.no_grad():
        model.prompt_encoder["default"].embedding.weight.copy_(torch.from_numpy(start))
    return model


def loop(folder: Path, settings: dict[str, Any]) -> Round:
    """Steps that a careful researcher would write: only the rows that predict a target pass the output projection.

    Rows are padded on the right, where causal attention never looks from a real token, so that no mask is needed and
    torch takes its fast attention.
    """
    import torch

    case = Case(**settings["case"])
    model = side_by_side.load_theirs(folder, settings["dtype"])
    body, head, embed = model.base_model, model.get_output_embeddings(), model.get_input_embeddings()
    prompt = torch.nn.Parameter(torch.from_numpy(start_of(case)).to(embed.weight.device))
    run = torch.compile(body) if settings.get("compile") else body

    def loss(tokens: Any, _seen: Any, learned: Any) -> Any:
        rows = prompt.to(embed.weight.dtype).expand(len(tokens), -1, -1)
        hidden = run(inputs_embeds=torch.cat([rows, embed(tokens)], dim=1), use_cache=False).last_hidden_state
        row, place = learned.nonzero(as_tuple=True)
        logits = head(hidden[row, place + case.prompt_rows - 1])
        return torch.nn.functional.cross_entropy(logits.float(), tokens[row, place])

    return _torch_round(case, [prompt], loss)


def _torch_round(case: Case, trained: Sequence[Any], loss_of: Callable[..., Any]) -> Round:
    """Rounds of AdamW on what is trained, on batches of similar length, each padded to its longest row.

    Args:
      trained: the parameters.
      loss_of: (tokens i64[B, T], which are real bool[B, T], which are learned bool[B, T]) → mean loss.
    """
    import torch

    optimizer = torch.optim.AdamW(trained, lr=LEARNING_RATE, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: max(1 - step / STEPS, 0.0))
    tokens, lengths = tokens_of(case), lengths_of(case)
    epoch = sorted_batches(case)
    chosen = cross_section(case, epoch)

    def padded(ids: Sequence[int]) -> tuple[Any, ...]:
        rows = np.zeros((len(ids), max(len(tokens[i]) for i in ids)), np.int64)
        for row, i in zip(rows, ids, strict=True):
            row[: len(tokens[i])] = tokens[i]
        place, (source, target) = np.arange(rows.shape[1]), lengths[ids].T[..., None]
        seen, learned = place < source + target, (place >= source) & (place < source + target)
        return tuple(torch.from_numpy(array).to(trained[0].device) for array in (rows, seen, learned))

    batches = [padded(ids) for ids in chosen]

    def one_step(place: int) -> float:
        loss = loss_of(*batches[place])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(trained, CLIP_NORM)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        return loss.item()  # waits for the device

    longest = [len(ids) * lengths[ids].sum(axis=1).max() for ids in epoch]
    share = np.sum(lengths[epoch]) / sum(longest)
    return _round(case, chosen, one_step, share)


def _round(case: Case, chosen: list[np.ndarray], one_step: Callable[[int], float], real_share: float) -> Round:
    """A round of the case's steps, which take the chosen batches in turn."""
    done = 0

    def again() -> dict[str, Any]:
        nonlocal done
        places = [(done + step) % len(chosen) for step in range(case.steps)]
        done += case.steps
        return {
            "losses": [one_step(place) for place in places],
            "rows": [chosen[place].tolist() for place in places],
            "real_share": float(real_share),
        }

    return again


def what_machine(folder: Path, settings: dict[str, Any]) -> Round:
    """A side that answers with `machine.machine()` and how fast torch multiplies, in GFLOP/s."""
    del folder, settings
    from benchmarks import machine

    def once() -> dict[str, Any]:
        import torch

        square = torch.ones((machine.SIZE, machine.SIZE))
        return machine.machine() | {"torch_gflops": machine.rate(lambda: square @ square)}

    return once


def matrix_rate(folder: Path, settings: dict[str, Any]) -> Round:
    """A side that answers with FLOP per second of large square products in the step's type, for an accelerator."""
    del folder
    import time

    import jax
    import jax.numpy as jnp

    size, count = 8192, 20
    square = jnp.ones((size, size), settings["dtype"])
    multiply = jax.jit(jnp.matmul)
    jax.block_until_ready(multiply(square, square))

    def once() -> float:
        started = time.perf_counter()
        jax.block_until_ready([multiply(square, square) for _ in range(count)])
        return count * 2.0 * size**3 / (time.perf_counter() - started)

    return once
