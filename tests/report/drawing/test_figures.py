"""Figures, for paper and for the page."""

import re
import xml.etree.ElementTree as ElementTree

import pytest

from ipt_jax.report.drawing.figures import Axes


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
