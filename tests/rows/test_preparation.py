"""What a run learns from, and what its evaluated examples share with the training examples that it has seen."""

import json
from pathlib import Path

import numpy as np
import pytest
from tiny import write_hf_folder

from ipt_jax.configs import common
from ipt_jax.errors import InputError
from ipt_jax.experiment.experiment import resolve
from ipt_jax.experiment.of_run import overlap_of, rows_of
from ipt_jax.models import loading
from ipt_jax.plan.plan import preparers
from ipt_jax.retrieval import Retrieval
from ipt_jax.rows import preparation
from ipt_jax.rows.flat_rows import row_sizes
from ipt_jax.rows.layout import Ends, Item, Layout, Template, encode
from ipt_jax.rows.preparation import Preparer
from ipt_jax.tasks import get_task

TEN = "one two three four five six seven eight nine ten"
TRAIN = [TEN, "a b", "c d", "e f"]
TEST = ["a b", f"{TEN} {TEN} eleven", "x y"]
SHORT = Template(query="{input}\n=", target=" {output}", separator="\n\n")


@pytest.fixture
def prepared(tmp_path):
    """Name of a run → its preparer and the run, on a task of four training and three test examples."""
    for split, texts in (("train", TRAIN), ("dev", TEST), ("test", TEST)):
        lines = [json.dumps({"id": f"{split}:{i}", "input": text, "target": "t"}) for i, text in enumerate(texts)]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(lines))
    config = common.get_config()
    config.task.name, config.task.data_dir = "jsonl", str(tmp_path)
    config.model.source = str(write_hf_folder(tmp_path / "lm"))
    config.execution.cache_dir = str(Path(tmp_path) / "cache")
    prompt = {"layout": {"prompt_tokens": 2}}
    loaded = {**prompt, "prompt": {"initialisation": "file", "source": "run:pt"}, "training": {"steps": 0}}
    config.runs = {
        "zero_shot": {},
        "icl": {"layout": {"demonstrations": 1, "retriever": "random"}},
        "one": {"layout": {"demonstrations": 1, "retriever": "random"}, "limit": {"train": 1}},
        "pt": prompt,
        "without_end": {"layout": {"prompt_tokens": 2, "end_token": False}},
        "loaded": loaded,
    }
    preparer_of = preparers(config)
    return {run.name: (preparer_of(run.settings), run) for run in resolve(config)}


@pytest.fixture
def overlaps(prepared):
    return {name: overlap_of(*of_run) for name, of_run in prepared.items()}


def test_what_is_learned_ends_with_the_end_token_unless_the_run_says_otherwise(prepared):
    preparer, run = prepared["pt"]
    with_end = rows_of(preparer, run, "train", with_target=True).rows
    without = rows_of(preparer, prepared["without_end"][1], "train", with_target=True).rows
    assert len(with_end) == len(without) == len(TRAIN)
    for longer, shorter in zip(with_end, without, strict=True):
        assert longer.tokens == (*shorter.tokens, preparer.lm.tokenizer.eos_ids[0])
        assert longer.source_length == shorter.source_length < len(shorter.tokens)


def test_overlap_is_counted_with_the_training_examples_that_a_run_or_its_prompt_has_seen(overlaps):
    counts = {"same_input": 1, "near_duplicate": 1, "examples": 3}
    assert overlaps["icl"] == overlaps["pt"] == overlaps["loaded"] == counts
    assert overlaps["one"]["same_input"] + overlaps["one"]["near_duplicate"] <= 1


def test_a_run_that_sees_no_training_example_overlaps_with_none(overlaps):
    assert overlaps["zero_shot"] is None


def test_splits_that_no_run_reads_may_be_missing_and_ids_do_not_depend_on_whether_others_read_them(tmp_path):
    config = common.get_config()
    config.task.name, config.task.data_dir = "jsonl", str(tmp_path)
    config.model.source = "anything"
    row = json.dumps({"input": "a", "target": "b"})
    (tmp_path / "test.jsonl").write_text(row)
    assert len(resolve(config)) == 1
    config.runs = {"zero_shot": {}, "icl": {"layout": {"demonstrations": 1}}}
    with pytest.raises(InputError, match=r"train\.jsonl .*not in"):
        resolve(config)
    (tmp_path / "train.jsonl").write_text(row)
    (tmp_path / "dev.jsonl").write_text(row)
    both = resolve(config)
    assert both[0].data_hash == both[1].data_hash


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample")
    lm = loading.outline(str(write_hf_folder(folder / "lm")), dtype="float32")
    return Preparer(lm, get_task("sample"), folder / "cache")


LAYOUTS = [
    (Layout(template, "truncate", end_token, shown), with_target)
    for shown in (None, Retrieval("bm25", 1, 12), Retrieval("random", 3, 12, seed=1))
    for with_target, end_token, template in ((True, True, Template()), (True, False, Template()), (False, True, SHORT))
]


@pytest.mark.parametrize(("layout", "with_target"), LAYOUTS)
def test_a_row_of_the_shared_layout_is_that_of_one_laid_out_alone_whatever_room_is_left(sample, layout, with_target):
    settings = {"limit": 9, "layout": layout, "with_target": with_target}
    whole = sample.rows("train", budget=10_000, **settings)
    lengths = row_sizes(whole.rows)[:, 0]
    assert {row.dropped for row in whole.rows} == {0}
    for room in (int(lengths.max()), int(np.median(lengths)), 110):
        prepared = sample.rows("train", budget=room, **settings)
        for example, row, full in zip(prepared.examples, prepared.rows, whole.rows, strict=True):
            alone = encode(
                layout,
                sample.lm.tokenizer,
                Item("alone", example["input"], example["target"] if with_target else None),
                full.demonstrations,
                budget=room,
                ends=Ends(eos_id=sample.lm.tokenizer.eos_ids[0] if layout.end_token else None),
            )
            assert row == alone
        assert row_sizes(prepared.rows).tolist() == row_sizes(list(prepared.rows)).tolist()
    assert len(whole.rows[0].demonstrations) == (layout.retrieval.k if layout.retrieval else 0)


def test_a_row_is_tokenised_once_for_all_rooms_that_it_fits(sample, monkeypatch):
    laid_out = []
    monkeypatch.setattr(preparation, "encode", lambda *args, **kwargs: laid_out.append(1) or encode(*args, **kwargs))
    settings = {"layout": Layout(Template(query="{input}\n:"), "truncate"), "with_target": True}
    lengths = np.sort(row_sizes(sample.rows("train", 20, budget=10_000, **settings).rows)[:, 0])
    assert len(laid_out) == 20
    for room in range(lengths[-1], lengths[-1] + 50):  # more rooms than layouts are kept
        sample.rows("train", 20, budget=int(room), **settings)
    assert len(laid_out) == 20
    sample.rows("train", 20, budget=int(lengths[17]), **settings)
    assert len(laid_out) == 20 + (lengths > lengths[17]).sum()


def test_an_input_that_does_not_fit_is_refused_by_name_though_it_was_laid_out_for_more_room(sample):
    settings = {"layout": Layout(), "with_target": True}
    assert len(sample.rows("train", 5, budget=10_000, **settings).rows) == 5
    with pytest.raises(InputError, match=r"^sample train:[\d:]+: \d+ tokens of input and \d+ of target do not fit 20 "):
        sample.rows("train", 5, budget=20, **settings)
