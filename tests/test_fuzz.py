"""Damaged inputs of every area: a right result or one line, see `fuzz.py`."""

import shutil

import fuzz
import pytest

TRAINS = ("experiment goes on", "half-trained population")
# Cases of an area: about 300 together, fewer where one takes long (a report a fifth of a second).
CASES = dict.fromkeys(fuzz.AREAS, 14)
CASES |= {"report": 2, "checkpoints": 6, "finished run": 8, "finished run predicts": 4}
CASES |= {"command lines that plan or predict": 4, **dict.fromkeys(TRAINS, 3)}
AREAS = [pytest.param(area, marks=pytest.mark.slow) if area in TRAINS else area for area in fuzz.AREAS]


@pytest.mark.parametrize("area", AREAS)
def test_sound_files_are_read(tmp_path, area):
    sound, _ = fuzz.sound(area)
    shutil.copytree(sound, tmp_path, dirs_exist_ok=True)
    fuzz.AREAS[area].read(tmp_path)


@pytest.mark.parametrize("area", AREAS)
def test_damaged_files_give_a_right_result_or_an_input_error(tmp_path_factory, area):
    check(tmp_path_factory, area, range(CASES[area]))


@pytest.mark.slow
@pytest.mark.parametrize("area", AREAS)
def test_thousands_of_damaged_files_give_a_right_result_or_an_input_error(tmp_path_factory, area):
    check(tmp_path_factory, area, range(1000, 1000 + 20 * CASES[area]))


def check(tmp_path_factory, area, cases):
    outcomes = [(case, *fuzz.run_case(area, case, tmp_path_factory.mktemp("case"))) for case in cases]
    assert [outcome for outcome in outcomes if outcome[1] == "other"] == []
