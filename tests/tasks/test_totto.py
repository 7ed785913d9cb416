"""ToTTo: linearisation with headers and spans, where the files are found, details, scores and errors."""

import gzip
import json
import shutil
import zipfile

import pytest
from absl import logging
from official import goldens

from ipt_jax.errors import InputError
from ipt_jax.metrics.bleu import BLEU_UNIFIEDSKG
from ipt_jax.metrics.totto.bleu import BLEU_TOTTO_OFFICIAL
from ipt_jax.metrics.totto.parent import parent
from ipt_jax.tasks import totto
from ipt_jax.tasks.base import Example, data_hash, load_split
from ipt_jax.tasks.scores import example_headline, headline, score
from ipt_jax.tasks.totto import FILE_NAMES, Totto, linearise


def cell(value, header=False, columns=1, rows=1):
    return {"value": value, "is_header": header, "column_span": columns, "row_span": rows}


# Two rows of headers, the first with a merged one; the player's name spans two rows, as a row header.
CAREER = {
    "table": [
        [cell("Player", True), cell("League", True, columns=2), cell("Total", True)],
        [cell("", True), cell("Apps", True), cell("Goals", True), cell("Goals", True)],
        [cell("Ann Lee", True, rows=2), cell("12"), cell("3"), cell("4")],
        [cell("9"), cell("1"), cell("1")],
    ],
    "table_page_title": "Ann Lee",
    "table_section_title": "Career",
    "table_section_text": "All of her games.",
    "highlighted_cells": [[2, 2], [2, 3]],
    "sentence_annotations": [{"final_sentence": "Ann Lee scored 3 goals."}, {"final_sentence": "Lee had 3 goals."}],
    "overlap_subset": True,
    "example_id": 7391450717765563190,
    "table_webpage_url": "http://en.wikipedia.org/wiki/Ann_Lee",
}
PLAIN = {
    "table": [[cell("a"), cell("b")]],
    "table_page_title": "Page",
    "table_section_title": "",
    "table_section_text": "",
    "highlighted_cells": [[0, 1]],
    "sentence_annotations": [{"final_sentence": "It is b."}],
}


def write(folder, split, records, packed=False):
    data = "".join(json.dumps(record) + "\n" for record in records).encode()
    path = folder / (FILE_NAMES[split] + (".gz" if packed else ""))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(data) if packed else data)
    return path


def write_archive(folder, split, records, member="totto_data/"):
    path = write(folder / "made", split, records)
    with zipfile.ZipFile(folder / "totto_data.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(path, member + path.name)
    return path.read_bytes()


def test_a_cell_has_the_headers_above_it_and_before_it_merged_ones_too():
    assert linearise(CAREER) == (
        "<page_title> Ann Lee </page_title> <section_title> Career </section_title> <table> "
        "<cell> 3 <col_header> League </col_header> <col_header> Goals </col_header> "
        "<row_header> Ann Lee </row_header> </cell> "
        "<cell> 4 <col_header> Total </col_header> <col_header> Goals </col_header> "
        "<row_header> Ann Lee </row_header> </cell> </table>"
    )


def test_a_highlighted_header_has_the_headers_above_it_but_not_itself():
    text = linearise({**CAREER, "highlighted_cells": [[1, 1]]})
    assert "<cell> Apps <col_header> League </col_header> <row_header>  </row_header> </cell>" in text


def test_a_merged_cell_has_the_headers_of_all_its_columns():
    table = [
        [cell("A", True), cell("B", True), cell("C", True)],
        [cell("x"), cell("wide", columns=2)],
    ]
    text = linearise({**PLAIN, "table": table, "highlighted_cells": [[1, 1]]})
    assert "<cell> wide <col_header> B </col_header> <col_header> C </col_header> </cell>" in text


def test_a_cell_that_spans_rows_does_not_move_the_row_below_as_in_the_official_text():
    # The row "9, 1, 1" stands under "Apps, Goals, Goals", but its first cell counts as the table's first column.
    text = linearise({**CAREER, "highlighted_cells": [[3, 0]]})
    headers = [part.split(" </")[0] for part in text.split("<col_header> ")[1:]]
    assert headers == ["Player", "", "Ann Lee"]


def test_empty_titles_are_left_out_and_no_cells_leave_an_empty_table():
    assert linearise(PLAIN) == "<page_title> Page </page_title> <table> <cell> b </cell> </table>"
    assert linearise({**PLAIN, "table_page_title": "", "highlighted_cells": []}) == "<table> </table>"


@pytest.mark.parametrize("split", ["train", "dev"])
def test_an_example_carries_all_sentences_and_what_the_metrics_need(tmp_path, split):
    write(tmp_path, split, [CAREER, PLAIN])
    first, second = Totto(tmp_path).read(split)

    assert first == Example(
        f"{split}:0",
        linearise(CAREER),
        "Ann Lee scored 3 goals.",
        ("Ann Lee scored 3 goals.", "Lee had 3 goals."),
        {
            "table": {
                "precision": "header|||Player\theader|||League\theader|||Total\theader|||Apps\theader|||Goals"
                "\theader|||Goals\theader|||Ann Lee\tcell|||12\tcell|||3\tcell|||4\tcell|||9\tcell|||1\tcell|||1"
                "\tpage_title|||Ann Lee\tsection_title|||Career\tsection_text|||All of her games.",
                "recall": "cell|||3\tcell|||4\tpage_title|||Ann Lee\tsection_title|||Career",
            },
            "overlap": True,
            "page": "Ann Lee",
            "example_id": 7391450717765563190,
        },
    )
    assert second.id == f"{split}:1"
    assert (second.details["overlap"], second.details["example_id"]) == (None, None)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("folder", ["", "totto_data"])
def test_files_are_found_plain_or_packed_there_or_where_the_archive_unpacks(tmp_path, folder, packed):
    write(tmp_path / folder, "dev", [CAREER], packed)
    assert len(list(Totto(tmp_path).read("dev"))) == 1


@pytest.mark.parametrize("member", ["totto_data/", ""])
def test_the_archive_is_read_without_unpacking_and_has_the_hash_of_its_files(tmp_path, member):
    data = write_archive(tmp_path, "dev", [CAREER, PLAIN], member)
    task = Totto(tmp_path)
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / FILE_NAMES["dev"]).write_bytes(data)

    assert list(task.read("dev")) == list(Totto(tmp_path / "plain").read("dev"))
    assert data_hash(task, "dev") == data_hash(Totto(tmp_path / "plain"), "dev")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["made", "plain", "totto_data.zip"]
    with pytest.raises(InputError, match="totto_train_data.jsonl"):
        task.files("train")


def test_a_file_comes_before_the_archive(tmp_path):
    write_archive(tmp_path, "dev", [CAREER, PLAIN])
    write(tmp_path, "dev", [PLAIN])
    assert len(list(Totto(tmp_path).read("dev"))) == 1


def test_a_damaged_archive_is_an_error_that_says_so(tmp_path):
    write_archive(tmp_path, "dev", [CAREER])
    path = tmp_path / "totto_data.zip"
    path.write_bytes(path.read_bytes()[:-30])

    with pytest.raises(InputError, match=r"totto_data\.zip: the archive is damaged or incomplete .* fetch it again"):
        Totto(tmp_path).files("dev")


def test_another_number_of_examples_is_read_with_a_warning(tmp_path, monkeypatch):
    write(tmp_path, "dev", [CAREER, PLAIN])
    warnings = []
    monkeypatch.setattr(logging, "warning", lambda text, *values: warnings.append(text % values))

    assert len(list(Totto(tmp_path).read("dev"))) == 2
    (warning,) = warnings
    assert "is not ToTTo's dev split: 2 examples instead of 7,700" in warning

    monkeypatch.setitem(totto.RELEASE_COUNTS, "dev", 2)
    assert len(list(Totto(tmp_path).read("dev"))) == 2
    assert len(warnings) == 1


def test_missing_files_are_an_error_with_names_origin_setting_and_command(tmp_path):
    with pytest.raises(InputError) as error:
        Totto(tmp_path).files("train")
    for part in (
        str(tmp_path),
        "totto_train_data.jsonl",
        "totto_data.zip",
        "google-research-datasets/ToTTo",
        "config.task.data_dir",
        "python -m ipt_jax.tasks.download totto",
    ):
        assert part in str(error.value)


@pytest.mark.parametrize("data_dir", [None, ""])
def test_an_unset_data_dir_is_an_error_that_says_so(data_dir, tmp_path, monkeypatch):
    write(tmp_path, "dev", [CAREER])
    monkeypatch.chdir(tmp_path)

    with pytest.raises(InputError, match="data_dir is unset: totto_dev_data.jsonl"):
        Totto(data_dir).files("dev")


def test_the_test_split_is_an_error_that_says_what_to_use(tmp_path):
    with pytest.raises(InputError, match="released without sentences.*config.task.split='dev'.*--split=dev"):
        Totto(tmp_path).files("test")
    with pytest.raises(InputError, match="split = 'validation' is not one of"):
        Totto(tmp_path).files("validation")


def without(record, key):
    return {name: value for name, value in record.items() if name != key}


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (without(PLAIN, "sentence_annotations"), "'sentence_annotations'.*the unlabelled test file has none"),
        ({**PLAIN, "sentence_annotations": []}, "'sentence_annotations'"),
        ({**PLAIN, "sentence_annotations": [{"original_sentence": "x"}]}, "'sentence_annotations'"),
        ({**PLAIN, "sentence_annotations": ["x"]}, "'sentence_annotations'"),
        (without(PLAIN, "table_section_title"), "'table_section_title' should be a text"),
        ({**PLAIN, "table_page_title": None}, "'table_page_title' should be a text"),
        (without(PLAIN, "table"), "'table' should be"),
        ({**PLAIN, "table": [cell("a")]}, "'table' should be"),
        ({**PLAIN, "table": [[{"value": "a", "is_header": False}]]}, "'table' should be"),
        ({**PLAIN, "table": [[cell(1)]]}, "'table' should be"),
        ({**PLAIN, "table": [[cell("a", header=1)]]}, "'table' should be"),
        ({**PLAIN, "table": [["a"]]}, "'table' should be"),
        (without(PLAIN, "highlighted_cells"), "'highlighted_cells'"),
        ({**PLAIN, "highlighted_cells": [[0, 2]]}, "'highlighted_cells'"),
        ({**PLAIN, "highlighted_cells": [[1, 0]]}, "'highlighted_cells'"),
        ({**PLAIN, "highlighted_cells": [[0, -1]]}, "'highlighted_cells'"),
        ({**PLAIN, "highlighted_cells": [[0]]}, "'highlighted_cells'"),
        ({**PLAIN, "highlighted_cells": [["0", "1"]]}, "'highlighted_cells'"),
        ({**PLAIN, "highlighted_cells": [7]}, "'highlighted_cells'"),
        ({**PLAIN, "overlap_subset": "yes"}, "'overlap_subset'"),
        ([PLAIN], "JSON object"),
    ],
)
def test_a_malformed_record_is_an_error_with_file_and_line(tmp_path, record, message):
    write(tmp_path, "dev", [CAREER, PLAIN, record])

    with pytest.raises(InputError, match=rf"totto_dev_data\.jsonl:3: .*{message}"):
        list(Totto(tmp_path).read("dev"))


def test_a_line_that_is_no_json_is_an_error_with_file_and_line_in_the_archive_too(tmp_path):
    made = write(tmp_path, "dev", [CAREER])
    made.write_bytes(made.read_bytes() + b'{"table": \n')
    with zipfile.ZipFile(tmp_path / "totto_data.zip", "w") as archive:
        archive.write(made, f"totto_data/{made.name}")
    made.unlink()

    with pytest.raises(InputError, match=r"totto_data\.zip/totto_data/totto_dev_data\.jsonl:2: not valid JSON"):
        list(Totto(tmp_path).read("dev"))


def test_scores_hold_both_bleus_and_parent_of_all_and_of_the_subsets(tmp_path):
    other = {**PLAIN, "overlap_subset": False, "sentence_annotations": [{"final_sentence": "On the page it is b."}]}
    write(tmp_path, "dev", [CAREER, other, PLAIN])
    examples = list(Totto(tmp_path).read("dev"))
    predictions = ["Ann Lee scored 3 goals .", "On this page it is b.", "IT IS B."]
    scores = score(Totto(tmp_path), predictions, examples).to_dict()

    references = [example.references for example in examples]
    parents = [parent(p, e.references, e.details["table"]) for p, e in zip(predictions, examples, strict=True)]
    assert scores[headline(Totto).name] == BLEU_UNIFIEDSKG.of_texts(predictions, references)
    assert scores["bleu_totto_official"] == BLEU_TOTTO_OFFICIAL.of_texts(predictions, references)
    for name, field in (("parent", "f"), ("parent_precision", "precision"), ("parent_recall", "recall")):
        assert scores[name] == pytest.approx(sum(getattr(each, field) for each in parents) / 3)
    assert scores["overlap"]["examples"] == scores["nonoverlap"]["examples"] == 1
    assert scores["overlap"]["bleu_totto_official"] == pytest.approx(100)
    assert scores["nonoverlap"]["parent"] == parents[1].f
    singles = {name for name, value in scores.items() if isinstance(value, float)}
    assert {"chrf", "rouge_l"} < singles
    assert singles - {"parent_precision", "parent_recall"} <= scores["signatures"].keys()


def test_a_subset_without_examples_is_left_out(tmp_path):
    write(tmp_path, "dev", [CAREER])
    scores = score(Totto(tmp_path), ["Ann Lee scored."], list(Totto(tmp_path).read("dev"))).to_dict()

    assert "overlap" in scores and "nonoverlap" not in scores


def test_an_example_is_scored_as_it_comes_from_arrow(tmp_path):
    write_archive(tmp_path, "dev", [CAREER])
    (example,) = map(Example.from_row, load_split(Totto(tmp_path), "dev", cache_dir=tmp_path / "cache"))
    (scores,) = score(Totto(tmp_path), ["Lee had 3 goals."], [example]).examples

    assert example == next(Totto(tmp_path).read("dev"))
    assert scores[example_headline(Totto)] == pytest.approx(100)
    assert scores["parent"] == parent("Lee had 3 goals.", example.references, example.details["table"]).f


@pytest.fixture(scope="module", params=goldens("totto"))
def sample(request, tmp_path_factory):
    """The golden set, and the genuine records under their official names."""
    folder = tmp_path_factory.mktemp("totto")
    for split, name in FILE_NAMES.items():
        shutil.copyfile(request.param.release / f"totto_{split}_sample.jsonl.gz", folder / f"{name}.gz")
    return request.param, Totto(folder)


def test_all_genuine_records_are_read_with_a_warning_that_they_are_not_the_release(sample, monkeypatch):
    golden, task = sample
    warnings = []
    monkeypatch.setattr(logging, "warning", lambda text, *values: warnings.append(text % values))

    train, dev = (len(list(task.read(split))) for split in FILE_NAMES)
    assert (train, dev) == (8 if golden.whole else 3, 55)
    assert f"{train} examples instead of 120,761" in warnings[0] and "55 examples instead of 7,700" in warnings[1]


def test_all_golden_inputs_are_equal(sample):
    golden, task = sample
    rows = golden.rows("inputs.jsonl.gz")
    assert len(rows) == (32 if golden.whole else 30)
    examples = {example.id: example for split in FILE_NAMES for example in task.read(split)}
    for row in rows:
        example = examples[row["id"].replace("_sample", "")]
        assert (example.input, example.target) == (row["struct_in"], row["seq_out"]), row["id"]
        assert list(example.references) == row["final_sentences"]


def test_a_golden_group_has_the_evaluators_scores_through_the_task(sample):
    golden, task = sample
    name = "system:t5-small" if golden.whole else "full:mixed"
    rows = [row for row in golden.rows("predictions.jsonl.gz") if row["group"] == name]
    (expected,) = (group for group in golden.json("groups.json") if group["group"] == name)
    examples = {example.id: example for example in task.read("dev")}
    members = [examples[row["id"].replace("_sample", "")] for row in rows]
    scores = score(task, [row["prediction"] for row in rows], members).corpus

    assert scores["bleu_unifiedskg"] == pytest.approx(expected["unifiedskg"]["bleu"], abs=1e-4)
    for subset, own in (("overall", scores), ("overlap", scores["overlap"]), ("nonoverlap", scores["nonoverlap"])):
        assert own["bleu_totto_official"] == pytest.approx(expected["official"][subset]["bleu"], abs=1e-4)
        assert own["parent"] == pytest.approx(expected["official"][subset]["parent"]["f"], abs=1e-4)
