"""The report's numbers, tables, sentences and files, checked on invented runs."""

import re
import time

import pytest
from report_samples import METHODS, STUDY, make_workdir

from ipt_jax.errors import InputError
from ipt_jax.report import render
from ipt_jax.report.looks.cost import duration
from ipt_jax.report.reading.collect import collect
from ipt_jax.workdir.json_files import append_rows, read_json, write_json
from ipt_jax.workdir.run_folder import RunFolder, run_folders


@pytest.mark.slow
def test_a_report_of_five_hundred_runs_is_written_in_seconds(tmp_path):
    for number in range(10):
        make_workdir(tmp_path, examples=200, methods=STUDY, title=f"Task {number}", task=f"task{number}")
    assert len(run_folders(tmp_path)) == 500
    begin = time.process_time()
    path = render([tmp_path])
    seconds = time.process_time() - begin
    assert seconds < 90, f"{seconds:.1f} s of processor time"  # a tenth of the runs takes 6 on two busy cores of 2020
    assert path.read_text().count('class="pack"') == 10


def test_a_report_is_complete_self_contained_and_calls_synthetic_data_so(quickstart_report):
    text = quickstart_report.read_text()
    assert sorted(file.name for file in quickstart_report.parent.iterdir()) == [
        *("dev_loss.png", "dev_loss.svg", "index.html", "scores.png", "scores.svg", "similarity.png", "similarity.svg"),
        *("table.csv", "table.md", "table.tex", "table.txt", "training_loss.png", "training_loss.svg"),
        *("views.csv", "views.md", "views.tex", "views.txt"),
    ]
    assert "<title>quickstart ·" in text and "A generator made these data" in text
    assert "dequantised from Q4_1" in text
    assert not re.search(r"""(?:src|href)=["'](?!#)|@import|url\((?!#)""", text)


def test_the_same_runs_give_the_same_report_byte_for_byte(quickstart, quickstart_report, tmp_path):
    again = render([quickstart], tmp_path).parent
    for path in quickstart_report.parent.iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes(), path.name


def test_what_an_earlier_report_in_the_folder_had_to_say_goes_with_it(tmp_path):
    make_workdir(tmp_path, examples=3, methods=METHODS[:1])
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "claims.md").write_text("The paper's claim is contradicted.")
    (tmp_path / "report" / "notes.md").write_text("Mine.")
    render([tmp_path])
    left = {path.name for path in (tmp_path / "report").iterdir()}
    assert "claims.md" not in left and "notes.md" in left


def test_data_that_is_synthetic_by_name_only_is_called_so(tmp_path):
    make_workdir(tmp_path, examples=3, methods=METHODS[:1], title="Places")
    (result,) = [folder.result for folder in run_folders(tmp_path)]
    assert "Synthetic" not in render([tmp_path]).read_text()
    write_json(result, {**read_json(result), "task": "synthetic_places"})
    assert "Synthetic sample: Places, test split" in render([tmp_path]).read_text()


def test_missing_pieces_are_said_in_the_page_and_do_not_fail(tmp_path):
    make_workdir(tmp_path, examples=3)
    (tmp_path / "config.json").unlink()
    zero, random_icl, *_, trained = [
        next(f for f in run_folders(tmp_path) if read_json(f.result)["run"] == run.id)
        for run in collect([tmp_path]).settings[0].runs
    ]
    zero.predictions.unlink()
    random_icl.result.write_text("{torn")
    trained.metrics.unlink()
    with trained.predictions.open("a") as file:
        file.write('not json\n{"id": "x"}\n')
    RunFolder(tmp_path, "unfinished").path.mkdir()
    append_rows(tmp_path / "results.jsonl", [{**read_json(zero.result), "run": "rowonly"}, {"run": "scoreless"}])
    text = render([tmp_path]).read_text()
    for sentence in [
        "has no config.json",
        f"Run {zero.run_id} (zero-shot) has no predictions",
        "result.json: not a JSON object",
        "has no metrics: its training curve is not shown",
        "predictions.jsonl:4: not a JSON object",
        "Not finished and not shown: unfinished",
        "Run rowonly has a row in results.jsonl but no folder",
        "should be there with a text",
    ]:
        assert sentence in text, sentence


def test_a_working_directory_without_runs_still_gives_a_page(tmp_path):
    assert "There is no finished run yet." in render([tmp_path]).read_text()


def test_several_working_directories_need_an_output(quickstart):
    with pytest.raises(InputError, match="--output"):
        render([quickstart, quickstart])


def test_markup_in_names_and_notes_is_shown_as_text(tmp_path):
    make_workdir(tmp_path, examples=3, methods=METHODS[4:6], title="<b>task</b> $x$")
    write_json(tmp_path / "config.json", {"name": "<b>name</b>"})
    one, other = [folder.result for folder in run_folders(tmp_path)]
    write_json(other, {**read_json(other), "method": "<b>method</b>", "metric": "<b>metric</b>"})
    write_json(one, {**read_json(one), "metric": "<b>metric</b>"})
    text = render([tmp_path]).read_text()
    assert "<b>" not in text
    for word in ("task", "name", "method", "metric"):
        assert f"&lt;b&gt;{word}&lt;/b&gt;" in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.6, "5 s"), (59.7, "1 min 0 s"), (75.2, "1 min 15 s"), (119.7, "2 min 0 s"), (8_000, "2 h 13 min")],
)
def test_a_duration_reads_as_people_say_it(seconds, text):
    assert duration(seconds) == text
