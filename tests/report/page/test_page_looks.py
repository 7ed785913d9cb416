"""How the page looks in a real browser: nothing wider than its window, text that can be read, in light and dark."""

import pytest
from chromium import BROWSER, Chromium

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium, chromium-browser or google-chrome is installed")

READY = "document.getElementById('explorer')?.ariaBusy === 'false'"
# The contrast of an element's text with what it stands on (WCAG 2.2; the root of a colour's light is about 2.2).
HELPERS = """
globalThis.all = (selector) => [...document.querySelectorAll(selector)];
globalThis.light = (colour) => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d");
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3).map((c) => (c / 255) ** 2.2);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
globalThis.contrast = (element, property) => {
  const colours = [getComputedStyle(element)[property], getComputedStyle(document.body).backgroundColor];
  const [ink, ground] = colours.map(light);
  return (Math.max(ink, ground) + 0.05) / (Math.min(ink, ground) + 0.05);
};
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    started = Chromium(tmp_path_factory.mktemp("chromium"))
    yield started
    started.close()


@pytest.fixture
def opened(browser):
    def run(path, width, dark=False):
        browser.window(width, 900, dark=dark)
        browser.open(path, READY)
        browser.run(HELPERS)
        return browser

    return run


@pytest.mark.parametrize("width", [360, 400, 1600])
def test_the_page_is_never_wider_than_the_window_and_no_column_of_a_short_table_is_cut(
    quickstart_report, opened, width
):
    page = opened(quickstart_report, width)
    page.run("for (const each of all('details')) each.open = true")
    page.wait("all('.body').length === 20", 5)
    assert page.run("document.documentElement.scrollWidth") <= width
    assert page.run("all('.scroll').filter((each) => each.scrollWidth > each.clientWidth).length") == 0


@pytest.mark.slow
@pytest.mark.parametrize("width", [400, 1600])
def test_the_tables_of_a_study_fit_too(study_report, opened, width):
    page = opened(study_report, width)
    page.run("for (const each of all('main section:not([aria-labelledby=examples]) details')) each.open = true")
    assert page.run("document.documentElement.scrollWidth") <= width
    cut = "all('.stacks .scroll').filter((each) => each.scrollWidth > each.clientWidth).map((each) => each.ariaLabel)"
    assert page.run(cut) == []


def test_the_answer_and_the_chart_are_seen_without_scrolling_and_the_table_stands_beside(quickstart_report, opened):
    page = opened(quickstart_report, 1600)
    answer, chart, table = (
        page.run(f"(({{ top, left, right, bottom }}) => [top, left, right, bottom])({part}.getBoundingClientRect())")
        for part in ("all('.answer')[0]", "all('.chart svg')[0]", "all('.beside table')[0]")
    )
    assert answer[3] < chart[0] and chart[3] < 900
    assert chart[2] < table[1] and table[0] < chart[3]


def test_text_in_figures_is_not_tiny_on_a_telephone(quickstart_report, opened):
    page = opened(quickstart_report, 400)
    sizes = page.run("all('svg text').map((each) => each.getBoundingClientRect().height)")
    assert len(sizes) > 50 and min(sizes) >= 10


@pytest.mark.parametrize("dark", [False, True])
def test_all_text_can_be_read_in_dark_and_light(quickstart_report, opened, dark):
    page = opened(quickstart_report, 1200, dark)
    page.run("document.querySelector('.reading').open = true")
    ground = page.run("light(getComputedStyle(document.body).backgroundColor)")
    assert (ground < 0.05) if dark else (ground > 0.9)
    parts = [".lead", ".answer p", ".caution", ".small", "nav a", "td", "th", "figcaption", ".verdict", "dt", "dd"]
    parts += [
        f"#explorer {part}" for part in (".text", "ins", "del", ".about", ".method", ".score", ".status", "label")
    ]
    for part in [*parts, "#explorer .reading summary"]:
        assert page.run(f"contrast(all('{part}')[0], 'color')") >= 4.5, part  # WCAG 2.2, level AA
    assert page.run("Math.min(...all('svg').map((each) => contrast(each, 'color')))") >= 4.5
