"""The report's numbers, tables, sentences and files, checked on invented runs."""

import csv
import io
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from dataclasses import replace

import numpy as np
import pytest
from report_samples import METHODS, STUDY, make_workdir

from ipt_jax.errors import InputError
from ipt_jax.report import render, terminal_table
from ipt_jax.report.__main__ import main
from ipt_jax.report.drawing import setting_tables
from ipt_jax.report.drawing.figures import Axes
from ipt_jax.report.looks.cost import duration
from ipt_jax.report.looks.curves import curve, smooth, training_curves
from ipt_jax.report.reading.collect import collect
from ipt_jax.report.reading.methods import Method, Setting
from ipt_jax.report.reading.runs import Run
from ipt_jax.workdir.json_files import append_rows, read_json, write_json
from ipt_jax.workdir.run_folder import RunFolder, run_folders


@pytest.fixture(scope="module")
def setting(quickstart):
    (only,) = collect([quickstart]).settings
    return only


def test_seeds_are_joined_and_methods_stand_in_the_order_of_the_paper(setting):
    assert [(method.label, len(method.runs)) for method in setting.methods] == [
        ("zero-shot", 1),
        ("ICL, random one-shot", 1),
        ("ICL, retrieved one-shot", 1),
        ("ICL, retrieved three-shot", 1),
        ("PT", 2),
        ("IPT", 2),
    ]


def test_runs_that_differ_in_more_than_the_seed_are_kept_apart_and_say_in_what(tmp_path):
    make_workdir(tmp_path, examples=3, methods=METHODS[4:6])
    folder = run_folders(tmp_path)[0]
    config = read_json(folder.run_json)
    write_json(folder.run_json, {**config, "training": {"steps": 150, "batch_size": 4}})
    (setting,) = collect([tmp_path]).settings
    assert sorted(method.label for method in setting.methods) == [
        "PT (batch_size=4)",
        "PT (batch_size=null)",
    ]


def test_runs_on_other_data_are_never_in_one_table(tmp_path):
    make_workdir(tmp_path, examples=3, methods=METHODS[:2])
    result = run_folders(tmp_path)[0].result
    write_json(result, {**read_json(result), "data_hash": "other"})
    assert [len(setting.methods) for setting in collect([tmp_path]).settings] == [1, 1]


def test_a_run_in_two_working_directories_counts_once(quickstart):
    both = collect([quickstart, quickstart])
    assert [len(method.runs) for method in both.settings[0].methods] == [1, 1, 1, 1, 2, 2]
    assert any("in several working directories" in note for note in both.notes)


def test_a_working_directory_that_does_not_exist_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="no such working directory"):
        collect([tmp_path / "absent"])


def test_the_terminal_table_names_both_bleu_conventions_and_aligns_its_columns(quickstart):
    text = terminal_table(quickstart)
    lines = text.splitlines()
    header = next(line for line in lines if line.startswith("Method"))
    rows = lines[lines.index(header) + 2 :][:6]
    assert "BLEU (UnifiedSKG)" in header and "BLEU (official)" in header
    assert "convention:unifiedskg|" in text and "convention:dart_official|" in text
    assert {len(line) for line in [header, *rows]} == {len(header)}
    assert all(row[line.index(".")] == "." for row in rows for line in rows)  # the means stand under one another


def test_the_table_shows_mean_and_deviation_of_the_results(setting):
    scores = [run.result["score"] for run in setting.methods[-1].runs]
    mean, deviation = np.mean(scores), np.std(scores, ddof=1)
    assert setting_tables.table(setting).rows[-1][:2] == ["IPT", f"{mean:.1f} ± {deviation:.1f}"]


def test_the_csv_holds_unrounded_numbers_for_every_metric(setting):
    rows = list(csv.DictReader(io.StringIO(setting_tables.as_csv([setting]))))
    assert len(rows) == 6 * 2
    ipt = next(row for row in rows if row["method"] == "IPT" and row["metric"] == "bleu_official")
    scores = [run.result["scores"]["bleu_official"] for run in setting.methods[-1].runs]
    assert float(ipt["mean"]) == np.mean(scores) and float(ipt["deviation"]) == pytest.approx(np.std(scores, ddof=1))


def test_text_that_means_something_to_latex_or_markdown_is_escaped():
    run = Run({"run": "a", "metric": "bleu_official", "score": 1.0})
    settings = [Setting((Method("50 % of a_b & {c} | <d> #1", (run,)),))]
    assert r"50 \% of a\_b \& \{c\} $|$ $<$d$>$ \#1" in setting_tables.as_latex(settings)
    assert r"50 % of a\_b & {c} \| \<d\> \#1".replace("{c}", r"\{c\}") in setting_tables.as_markdown(settings)


def test_a_smoothed_constant_is_the_constant_and_a_step_is_followed_by_half_at_the_half_life():
    assert smooth([3.0] * 4) == pytest.approx([3.0] * 4)
    assert smooth([0.0] * 1_000 + [1.0] * 5)[-1] == pytest.approx(0.5)


def test_a_step_that_was_logged_twice_counts_as_it_was_logged_last():
    rows = [{"step": 0, "loss": 3.0}, {"step": 1, "loss": 2.0}, {"step": 1, "dev_loss": 9.0}, {"step": 1, "loss": 1.0}]
    assert curve(Run({}, metrics=rows), "loss") == ([0, 1], [3.0, 1.0])


def test_figures_of_a_page_take_its_colour_and_share_no_id(study_report):
    drawn = re.findall(r"<svg .*?</svg>", study_report.read_text(), re.DOTALL)
    ids = [set(re.findall(r'\bid="([^"]+)"', figure)) for figure in drawn]
    assert len(drawn) == 3 * 2 + 2 and len(set.union(*ids)) == sum(map(len, ids))
    for figure, own in zip(drawn, ids, strict=True):
        used = set(re.findall(r'href="#([^"]+)"|url\(#([^)]+)\)', figure))
        assert {a or b for a, b in used} <= own
        assert (
            "currentColor" in figure and "<style" not in figure and "width" not in ElementTree.fromstring(figure).attrib
        )


def test_a_figure_is_a_picture_of_pixels_too(quickstart_report):
    pictures = list(quickstart_report.parent.glob("*.png"))
    assert len(pictures) == 4 and all(picture.read_bytes().startswith(b"\x89PNG") for picture in pictures)


@pytest.mark.parametrize(
    "label",
    [
        "PT",
        "ICL, retrieved one-shot",
        "PT (prompt_tokens=100, steps=10000)",
        "PT (batch_size=32, eval_every=40, learning_rate=searched, prompt_tokens=100, steps=10000)",
    ],
)
def test_a_legend_names_every_method_below_the_axes_and_inside_the_figure(label):
    axes = Axes("Loss", "legend")
    for number in range(18):
        axes.plot([0, 1], [number, number], label=f"{label} {number:02}")
    axes._lay_out()
    canvas = axes._canvas
    canvas.draw_without_rendering()
    room, legend, drawn = canvas.bbox, canvas.legends[0].get_window_extent(), axes._axes.get_tightbbox()
    assert len(canvas.legends[0].get_texts()) == 18
    assert room.x0 <= legend.x0 and legend.x1 <= room.x1 and room.y0 <= legend.y0 and legend.y1 <= drawn.y0
    assert drawn.height > 2 * canvas.dpi  # inches


def test_runs_that_trained_nothing_have_no_curves(tmp_path):
    (setting,) = collect([make_workdir(tmp_path, examples=3, methods=METHODS[:4])]).settings
    assert training_curves(setting) == []


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


def test_a_result_whose_scores_are_not_listed_still_shows_its_score(setting):
    result = {**setting.runs[0].result, "scores": {}, "score": 12.34, "empty": 0}
    bare = replace(setting.runs[0], result=result)
    assert setting_tables.table(Setting((Method("zero-shot", (bare,)),))).rows == [
        ["zero-shot", "12.3", "–", "0", "0", "1"]
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(4.6, "5 s"), (59.7, "1 min 0 s"), (75.2, "1 min 15 s"), (119.7, "2 min 0 s"), (8_000, "2 h 13 min")],
)
def test_a_duration_reads_as_people_say_it(seconds, text):
    assert duration(seconds) == text


def test_the_command_prints_where_the_report_is_and_explains_what_it_misses(tmp_path):
    make_workdir(tmp_path / "work", examples=3, methods=METHODS[:1])
    command = [sys.executable, "-m", "ipt_jax.report", str(tmp_path / "work"), f"--output={tmp_path / 'out'}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stdout.strip() == str(tmp_path / "out" / "index.html"), done.stderr
    assert "zero-shot" in (tmp_path / "out" / "table.md").read_text()
    with pytest.raises(InputError, match="usage"):
        main(["ipt_jax.report"])
