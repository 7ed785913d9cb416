"""The colours of methods: by what a method is, alike in all figures, readable on both grounds of the page."""

import re
from importlib import resources

import pytest

from ipt_jax.report.drawing import colours as palette
from ipt_jax.report.drawing.colours import colours, luminance, shaded
from ipt_jax.report.reading.collect import collect
from ipt_jax.report.reading.methods import Method
from ipt_jax.report.reading.runs import Run

ALL = (palette.PT, palette.IPT, palette.RETRIEVED, palette.RANDOM, palette.LOADED, palette.NONE)


def made(rows=0, shown=0, retriever=None, steps=0, label="x"):
    numbers = {"prompt_tokens": rows, "demonstrations": shown, "retriever": retriever}
    return Method(label, (Run({"run": "x", **numbers, "training": {"steps": steps} if steps else None}),))


def test_a_method_has_the_colour_of_what_stands_before_the_input():
    methods = [made(), made(0, 1, "random"), made(0, 3, "bm25"), made(5, steps=9), made(5, 1, "dense", 9), made(5)]
    expected = [palette.NONE, palette.RANDOM, palette.RETRIEVED, palette.PT, palette.IPT, palette.LOADED]
    assert [palette.colour(method) for method in methods] == expected


@pytest.mark.parametrize("count", [1, 2, 3, 8])
def test_every_colour_and_shade_can_be_seen_on_the_light_and_the_dark_page(count):
    css = resources.files("ipt_jax.report").joinpath("templates", "page.css").read_text()
    light, dark = map(luminance, re.findall(r"--page: (#\w{6})", css))
    for hue in ALL:
        for shade in palette._shades(hue, count):
            assert (light + 0.05) / (luminance(shade) + 0.05) >= 3 <= (luminance(shade) + 0.05) / (dark + 0.05)


def test_shades_of_one_colour_differ_and_get_lighter():
    found = list(shaded([made(rows, steps=9, label=str(rows)) for rows in (1, 25, 100)]).values())
    assert len(set(found)) == 3 and sorted(found, key=luminance) == found


def test_a_method_has_one_colour_in_the_chart_the_curves_and_the_views(quickstart, quickstart_report):
    (setting,) = collect([quickstart]).settings
    shades = colours(setting)
    assert len(set(shades.values())) == len(setting.methods)
    expected = {"scores": set(shades.values()), "similarity": set(shades.values())}
    expected |= dict.fromkeys(("training_loss", "dev_loss"), {shades["PT"], shades["IPT"]})
    for name, used in expected.items():
        drawn = (quickstart_report.parent / f"{name}.svg").read_text()
        assert {hue for hue in shades.values() if hue in drawn} == used, name


def test_a_method_has_one_colour_in_all_settings_of_a_page(settings):
    """Three tasks, of which one alone has several lengths of prompts."""
    found = [colours(setting) for setting in settings]
    assert all(shades == found[0] for shades in found)
    labels = [{method.label for method in setting.methods} for setting in settings]
    assert any(own != labels[0] for own in labels)
    assert all(own <= set(found[0]) for own in labels)
