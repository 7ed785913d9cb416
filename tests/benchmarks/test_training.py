"""The benchmark of training: what is counted as needed, rows of true lengths, batches of both kinds, goals, sides."""

import dataclasses
import shutil
import subprocess

import numpy as np
import pytest
from tiny import hf_config, tiny_tokenizer, write_hf_folder
from tolerances import LOSS, close

from benchmarks import training, training_report, training_sides
from benchmarks.commits import code_of
from benchmarks.make_lengths import BUDGET, ROWS, TASKS, lengths_of
from benchmarks.needed import needed_flop
from benchmarks.side_by_side import Measured, Side, take_turns
from benchmarks.training_cases import CASES, Case, cross_section, real_lengths, sorted_batches
from ipt_jax.models.loading import HF_FAMILIES
from ipt_jax.rows.layout import Template, render
from ipt_jax.tasks import get_task
from ipt_jax.tasks.base import load_split

TINY = hf_config("llama")
REAL = Case(TINY, task="mtop", prompt_rows=3, steps=4)


def by_hand(config, prompt_rows, rows):
    """Every product of numbers, one position and one pair of positions at a time."""
    c, total = config, 0
    kv, query = c.num_kv_heads * c.head_dim, c.num_heads * c.head_dim
    keys_values, rest = 2 * c.hidden_dim * kv, 2 * c.hidden_dim * query + 3 * c.hidden_dim * c.mlp_dim
    for source, target in [(prompt_rows, 0), *rows]:
        before = 0 if target == 0 else prompt_rows
        for layer in range(c.num_layers):
            last = layer == c.num_layers - 1
            for place in range(source + target):
                goes_on = not last or place < target  # which ones does not matter but for how much they see
                seen = before + (source + target if last else place + 1)
                total += 2 * keys_values + goes_on * (2 * rest + 3 * 2 * query * seen)
        total += 2 * target * c.embed_dim * c.vocab_size
    return 2 * total  # a product and a sum


@pytest.mark.parametrize("prompt_rows", [0, 3])
def test_needed_arithmetic_is_the_sum_over_every_position_and_every_pair(prompt_rows):
    config = HF_FAMILIES["llama"].config_from_hf(TINY)
    rows = [(4, 2), (7, 1)]
    assert needed_flop(config, prompt_rows, rows) == by_hand(config, prompt_rows, rows)
    assert needed_flop(config, prompt_rows, rows, members=3) == 3 * needed_flop(config, prompt_rows, rows)


def test_the_true_lengths_are_of_as_many_rows_of_each_task_and_a_demonstration_makes_a_row_longer():
    for task in TASKS:
        alone, shown = real_lengths(task, False), real_lengths(task, True)
        assert alone.shape == shown.shape == (ROWS, 2) and alone.min() > 0
        assert (alone[:, 1] == shown[:, 1]).all() and (shown[:, 0] >= alone[:, 0]).all()
        assert (shown[:, 0] > alone[:, 0]).mean() > 0.9 and shown.sum(axis=1).max() <= BUDGET


def test_lengths_are_those_of_the_rows_that_a_run_lays_out(tmp_path):
    examples, tokenizer = load_split(get_task("sample"), "train", limit=9, cache_dir=tmp_path), tiny_tokenizer()
    template = Template()
    for own, (target, source, shown) in zip((2, 5), lengths_of(examples, tokenizer, (2, 5)), strict=True):
        text = render(template, examples[own]["input"])
        assert source == len(tokenizer.encode(text)) < shown <= BUDGET
        assert target == len(tokenizer.continuation.encode(template.target.format(output=examples[own]["target"]))) + 1


def test_both_kinds_of_batches_have_every_row_of_an_epoch_once_and_a_round_is_like_the_epoch():
    own, _ = training_sides.own_batches(REAL, 1, 500)
    totals = real_lengths("mtop", False).sum(axis=1)
    for epoch in (own, sorted_batches(REAL)):
        assert np.sort(np.concatenate(epoch)).tolist() == list(range(ROWS))
        chosen = cross_section(REAL, epoch)
        assert len(chosen) == REAL.steps
        assert np.mean([totals[ids].mean() for ids in chosen]) == pytest.approx(totals.mean(), rel=0.05)


def test_our_batches_hold_the_rows_in_the_shapes_of_training():
    own, batch_of = training_sides.own_batches(REAL, 2, 500)
    lengths, tokens = real_lengths("mtop", False), training_sides.tokens_of(REAL)
    shapes = set()
    for ids in own:
        batch = batch_of(ids)
        shapes.add(batch.tokens.shape)
        for b, i in enumerate(ids):
            assert (batch.tokens[:, b, : len(tokens[i])] == tokens[i]).all()
            assert batch.weights[1, b].sum() == lengths[i, 1]
    assert 1 < len(shapes) <= 16
    equal, batch_of = training_sides.own_batches(Case(TINY, tokens=24, targets=8), 1, 500)
    assert batch_of(equal[0]).tokens.shape == (1, 8, 24)


def test_our_side_learns_and_says_of_which_rows(tmp_path):
    case = dataclasses.replace(REAL, steps=1)
    settings = {"case": dataclasses.asdict(case), "dtype": "float32", "members": 1}
    once = training_sides.ours(write_hf_folder(tmp_path / "lm"), settings)
    first, second = once(), once()
    assert second["losses"][0] < first["losses"][0] and first["rows"] == second["rows"]
    assert len(first["rows"]) == 1 and len(first["rows"][0]) == case.batch and 0.8 < first["real_share"] <= 1


@pytest.mark.parametrize("side", ["peft", "loop"])
def test_a_peer_has_the_losses_that_we_have(side, tmp_path):
    for module in ("torch", "peft"):
        pytest.importorskip(module)
    case = Case(TINY, tokens=24, targets=8, prompt_rows=3)
    settings = {"case": dataclasses.asdict(case), "dtype": "float32", "members": 1}
    folder = write_hf_folder(tmp_path / "lm")
    ours, theirs = (getattr(training_sides, name)(folder, settings) for name in ("ours", side))
    for _ in range(3):
        one, other = ours(), theirs()
        close(other["losses"], one["losses"], LOSS)
        assert other["rows"] == one["rows"] and other["real_share"] == one["real_share"] == 1


def test_seconds_are_compared_by_what_was_needed_and_goals_are_met_or_missed():
    case = Case(TINY, tokens=24, targets=8, faster={"loop": 1.5, "before": 1.5}, rate_share=0.5, real_share=0.88)

    def measured(seconds, rows, peak):
        return Measured([seconds] * 3, peak, [{"losses": [1.0], "rows": rows, "real_share": 0.9}], [2 * seconds] * 3)

    own = measured(2.0, [[0, 1]], 100)
    rate = training_report.round_flop(case, 1, own.answers[0])  # so that ours reaches half of it
    rows = [
        training_report.row("c", case, own, "ours", own, rate),
        training_report.row("c", case, own, "loop", measured(6.0, [[0, 1], [2, 3]], 200), rate),
        training_report.row("c", case, own, "before", measured(2.8, [[2, 3]], 50), rate),
    ]
    assert [row["faster"] for row in rows] == pytest.approx([1, 1.5, 1.4])
    assert [row["less_processor_time"] for row in rows] == pytest.approx([1, 1.5, 1.4])
    assert [row["memory_share"] for row in rows] == [1, 0.5, 2]
    assert rows[0]["our_share_of_rate"] == 0.5 and rows[1]["their_share_of_rate"] == pytest.approx(1 / 3)
    ours, loop, before = training_report.table(rows).splitlines()[2:]
    assert "50% (met: 50%)" in ours and "90% (met: 88%)" in ours
    assert "1.50 (met: 1.50)" in loop and "1.40 (missed: 1.50)" in before


def test_members_that_others_train_one_after_another_take_them_so_many_times_as_long():
    case = Case(TINY, tokens=24, targets=8, members=5)
    own, solo = (Measured([s], 1, [{"rows": [[0]], "real_share": 1.0}], [s]) for s in (4.0, 1.0))
    solo_row = training_report.row("c", case, own, "ours, solo", solo, 1.0)
    assert (solo_row["their_seconds"], solo_row["faster"]) == (5.0, 1.25)
    assert solo_row["our_flop"] == solo_row["their_flop"]
    assert training_report.row("c", case, own, "before", own, 1.0)["faster"] == 1.0


def test_cases_are_named_by_patterns_and_a_pattern_that_fits_none_is_an_error():
    assert training.chosen_names(["gpt2-mtop-*"], False) == [
        f"gpt2-mtop-{method}-{rows}" for method in ("pt", "ipt") for rows in (25, 150)
    ]
    assert "gpt2-xl" in training.chosen_names(None, True) and "gpt2-xl" not in training.chosen_names(None, False)
    with pytest.raises(SystemExit, match="--case=bert fits none of gpt2, "):
        training.chosen_names(["gpt2", "bert"], False)


def test_every_goal_is_about_a_side_that_is_run():
    sides = {*training.PEERS, "before"}
    assert all({*case.faster, *case.memory} <= sides for case in CASES.values())
    assert all(callable(getattr(training_sides, build)) for build, _ in training.PEERS.values())


def test_a_limit_on_instructions_is_told_to_every_library():
    assert training.environment_for("") == {}
    told = training.environment_for("AVX2")
    assert told["XLA_FLAGS"] == "--xla_cpu_max_isa=AVX2" and told["OPENBLAS_CORETYPE"] == "Haswell"
    assert training.environment_for("SSE4_2")["ONEDNN_MAX_CPU_ISA"] == "SSE41"


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_a_side_runs_the_package_of_a_commit_beside_todays_benchmarks(tmp_path):
    root = tmp_path / "checkout"
    for folder in ("ipt_jax", "benchmarks", "tests"):
        (root / folder).mkdir(parents=True)
        (root / folder / "__init__.py").touch()
    shutil.copy(training.side_by_side.__file__, root / "benchmarks")
    (root / "tests" / "here.py").write_text(
        "import ipt_jax, os\ndef where(folder, settings):\n    return lambda: [ipt_jax.AGE, os.environ.get('TOLD')]\n"
    )
    for age in ("old", "new"):
        (root / "ipt_jax" / "__init__.py").write_text(f"AGE = {age!r}\n")
        for command in (["init", "-q"], ["add", "-A"], ["commit", "-qm", age]):
            author = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
            subprocess.run(["git", *author, *command], cwd=root, check=True)
    (root / "ipt_jax" / "__init__.py").write_text("AGE = 'changed'\n")
    with code_of("HEAD~1", root) as old, code_of("HEAD", root) as new, code_of(".", root) as now:
        sides = [
            Side(str(code), "tests.here:where", {}, code=str(code), environment={"TOLD": "x"})
            for code in (old, new, now)
        ]
        measured = take_turns(sides, tmp_path, rounds=1, warmup=0)
        assert [measured[side.name].answers[0] for side in sides] == [["old", "x"], ["new", "x"], ["changed", "x"]]
    assert not old.exists() and root.exists()
    with pytest.raises(SystemExit, match="commit 'nothing' cannot be had"), code_of("nothing", root):
        pass
