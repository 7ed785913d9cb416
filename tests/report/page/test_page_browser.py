"""The report page in a real browser: it shows its examples, obeys its controls and runs nothing from the data."""

import re
import time

import pytest
from chromium import BROWSER, Chromium
from report_samples import METHODS, make_workdir

from ipt_jax.report import render
from ipt_jax.report.reading.collect import collect
from ipt_jax.workdir.json_files import append_rows, read_rows
from ipt_jax.workdir.run_folder import run_folders

pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium, chromium-browser or google-chrome is installed")

READY = "document.getElementById('explorer')?.ariaBusy === 'false'"
HELPERS = """
globalThis.all = (selector) => [...document.querySelectorAll(selector)];
globalThis.texts = (selector) => all(selector).map((each) => each.textContent);
globalThis.set = (id, value) => {
  const field = document.getElementById(id);
  field.value = field.options ? [...field.options].find((o) => o.textContent === value).value : value;
  field.dispatchEvent(new Event(field.options ? "change" : "input"));
};
globalThis.shown = () => texts(".example .name");
globalThis.statusText = () => document.querySelector(".status").textContent;
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    started = Chromium(tmp_path_factory.mktemp("chromium"))
    yield started
    started.close()


@pytest.fixture
def opened(browser):
    """Opens a page from disk in a wide light window, and waits until the examples of its first setting are there."""

    def run(path, ready=READY):
        browser.window(1200, 900)
        browser.open(path, ready)
        browser.run(HELPERS)
        return browser

    return run


@pytest.fixture(scope="module")
def report(quickstart_report):
    return quickstart_report


@pytest.fixture(scope="module")
def methods(quickstart):
    return collect([quickstart]).settings[0].methods


def test_the_first_example_shows_every_method_once_with_its_seeds_inside(report, methods, opened):
    page = opened(report)
    assert page.run("statusText()") == "100 of 100 examples, page 1 of 5"
    assert page.run("[all('.example').length, all('.body').length]") == [20, 1]
    assert page.run("texts('.prediction .method > :first-child')") == [method.label for method in methods]
    page.run("document.getElementById('marks').click()")  # so that missing words are not drawn
    shown = page.run("all('.prediction').map((each) => each.innerText)")
    for method, text in zip(methods, shown, strict=True):
        for run in method.runs:
            assert " ".join(run.predictions[0]["prediction"].split()) in " ".join(text.split())
            assert f"{run.predictions[0]['score']:.1f}" in text
    mean = sum(run.predictions[0]["score"] for run in methods[-1].runs) / 2
    assert float(re.search(r"mean of 2 seeds ([\d.]+)", shown[-1])[1]) == pytest.approx(mean, abs=0.11)


def test_methods_that_read_the_same_demonstrations_share_their_entry(report, methods, opened):
    entries = opened(report).run("texts('.reading summary')")
    near = methods[2].runs[0].predictions[0]["demonstrations"][0]
    expected = f"{near['id']} (similarity {near['similarity']:.2f}) ICL, retrieved one-shot; IPT"
    assert len(entries) == 3 and expected in entries


def test_long_demonstrations_are_closed_and_open_on_demand(report, opened):
    page = opened(report)
    assert page.run("all('.reading').some((each) => each.open)") is False
    page.run("all('.reading summary')[2].focus()")
    page.press("Enter")
    page.wait("all('.reading')[2].open", 5)
    assert page.run("all('.reading')[2].querySelectorAll('.text').length") == 3


def test_the_pages_turn_by_button_and_by_arrow_key_but_not_while_typing(report, opened):
    page = opened(report)
    said = [page.run("document.querySelector('.next').click(); shown()[0] + ' ' + statusText()")]
    for key in ("ArrowRight", "ArrowLeft"):
        page.press(key)
        said.append(page.run("shown()[0]"))
    page.run("document.getElementById('query').focus()")
    page.press("ArrowRight")
    said.append(page.run("document.activeElement.blur(); shown()[0]"))
    for _ in range(9):
        page.press("ArrowRight")
    said.append(page.run("[statusText(), document.querySelector('.next').disabled, shown().length].join()"))
    assert said == [
        *("test:20 100 of 100 examples, page 2 of 5", "test:40", "test:20", "test:20"),
        "100 of 100 examples, page 5 of 5,true,20",
    ]


def test_a_closed_example_is_filled_when_the_enter_key_opens_it(report, opened):
    page = opened(report)
    assert page.run("all('.example')[1].childElementCount") == 1
    page.run("all('.example > summary')[1].focus()")
    page.press("Enter")
    page.wait("all('.body').length === 2", 5)


def test_the_text_filter_finds_inputs_references_and_predictions_in_any_case(report, methods, opened):
    page = opened(report)
    runs = [run for method in methods for run in method.runs]
    searched = [
        [runs[0].predictions[i]["input"], *runs[0].predictions[i]["references"]]
        + [run.predictions[i]["prediction"] for run in runs]
        for i in range(100)
    ]
    expected = sum("östring" in "\n".join(texts).lower() for texts in searched)
    assert 0 < expected < 100
    assert page.run("set('query', 'ÖSTRING'); statusText()").startswith(f"{expected} of 100 examples")
    assert page.run("set('query', 'no such text'); statusText()") == "0 of 100 examples, page 1 of 1"
    assert page.run("document.getElementById('list').textContent") == "No example fits."


def test_a_method_that_is_not_shown_is_neither_drawn_nor_searched_nor_compared(tmp_path, opened):
    make_workdir(tmp_path, examples=3, methods=METHODS[:3])
    for folder in run_folders(tmp_path):
        rows = read_rows(folder.predictions)
        if not rows[0]["demonstrations"]:
            folder.predictions.unlink()
            append_rows(folder.predictions, [{**row, "prediction": "zebra", "score": 100.0} for row in rows])
    page = opened(render([tmp_path]))
    assert page.run("set('query', 'Zebra'); statusText()").startswith("3 of 3")
    page.run("document.querySelector('#methods input').click()")
    assert page.run("statusText()").startswith("0 of 3")
    assert page.run("document.getElementById('methods-shown').textContent") == "Methods shown: 2 of 3"
    assert page.run("set('query', ''); texts('.method')") == ["ICL, random one-shot", "ICL, retrieved one-shot"]
    page.run("set('winner', 'ICL, retrieved one-shot')")
    beaten = page.run("statusText()")
    page.run("document.querySelector('#methods input').click()")
    assert not beaten.startswith("0 of 3") and page.run("statusText()").startswith("0 of 3")  # nobody beats 100


def test_examples_can_be_chosen_by_which_method_wins_over_the_mean_of_its_seeds(report, methods, opened):
    page = opened(report)
    scores = {method.label: _rounded_means(method) for method in methods}
    low, high = scores["PT"], scores["IPT"]
    wins = [name for name in low if low[name] > high[name]]
    assert 0 < len(wins) < 20
    assert page.run("set('winner', 'PT'); set('loser', 'IPT'); shown()") == wins
    assert page.run("statusText()") == f"{len(wins)} of 100 examples, page 1 of 1"
    differences = [low[id] - high[id] for id in page.run("set('order', 'largest difference first'); shown()")]
    assert differences == sorted(differences, reverse=True)
    shown = [float(pair.partition(" against ")[0]) for pair in page.run("texts('.scores')")]
    assert shown == pytest.approx([low[id] for id in page.run("shown()")], abs=0.051)

    def best_but(label, name):
        return max(means[name] for other, means in scores.items() if other != label)

    beaten = sum(best_but("IPT", name) > high[name] for name in high)
    best = sum(high[name] > best_but("IPT", name) for name in high)
    assert page.run("set('winner', 'any method'); statusText()").startswith(f"{beaten} of")
    assert page.run("set('winner', 'IPT'); set('loser', 'every other'); statusText()").startswith(f"{best} of")


def _rounded_means(method):
    """As the page knows them: the page holds scores with one digit."""
    columns = [{row["id"]: round(row["score"], 1) for row in run.predictions} for run in method.runs]
    return {id: sum(column[id] for column in columns) / len(columns) for id in method.example_scores}


def test_examples_can_be_chosen_and_ordered_by_the_similarity_of_the_demonstration(report, methods, opened):
    page = opened(report)
    three = {
        row["id"]: max(each["similarity"] for each in row["demonstrations"]) for row in methods[3].runs[0].predictions
    }
    within = [id for id, near in three.items() if 0.8 <= near <= 0.85]
    assert 0 < len(within) < 100
    page.run("set('guide', 'ICL, retrieved three-shot'); set('least', '0.8'); set('most', '0.85')")
    assert page.run("statusText()").startswith(f"{len(within)} of 100")
    page.run("set('least', ''); set('most', ''); set('order', 'least similar demonstration first')")
    assert [three[id] for id in page.run("shown()")] == sorted(three.values())[:20]
    page.run("set('order', 'most similar demonstration first')")
    assert [three[id] for id in page.run("shown()")] == sorted(three.values(), reverse=True)[:20]
    guides = page.run("[...document.getElementById('guide').options].map((each) => each.textContent)")
    assert guides == ["ICL, retrieved one-shot", "ICL, retrieved three-shot", "IPT"]


@pytest.mark.parametrize(
    ("prediction", "references", "reference", "parts"),
    [
        ("a b d", ["a c d"], 0, [("same", "a"), ("missing", " c"), ("extra", " b"), ("same", " d")]),
        ("a b", ["x y", "a b"], 1, [("same", "a b")]),
        ("in Rome.", ["in Rome"], 0, [("same", "in Rome"), ("extra", ".")]),
        ("Zürich ist", ["in Zürich ist"], 0, [("missing", "in"), ("same", " Zürich ist")]),
        ("a  b c ", ["a b"], 0, [("same", "a  b"), ("extra", " c")]),
    ],
)
def test_the_differences_are_those_to_the_nearest_reference(report, opened, prediction, references, reference, parts):
    found = opened(report).run(f"differences({prediction!r}, {references!r})")
    assert found["reference"] == reference
    joined = [(part["kind"], part["text"]) for part in found["parts"]]
    assert "".join(text for kind, text in joined if kind != "missing") == prediction.rstrip()
    assert [(kind, " ".join(text.split())) for kind, text in joined] == [
        (kind, " ".join(text.split())) for kind, text in parts
    ]


def test_a_prediction_unlike_every_reference_is_not_marked(report, opened):
    assert opened(report).run("differences('one two three', ['vier fünf sechs', ''])") is None


def test_differences_are_marked_by_elements_and_unmarked_text_is_the_prediction(tmp_path, opened):
    make_workdir(tmp_path, examples=1, methods=METHODS[:1])
    (folder,) = run_folders(tmp_path)
    (row,) = read_rows(folder.predictions)
    folder.predictions.unlink()
    append_rows(folder.predictions, [{**row, "prediction": "one <b> three", "references": ["one two three"]}])
    page = opened(render([tmp_path]))
    assert page.run("texts('.answers ins')") == ["<b>"] and page.run("texts('.answers del')") == ["two"]
    page.run("document.getElementById('marks').click()")
    assert page.run("document.querySelector('.answers .text').innerText") == "one <b> three"


def test_each_setting_is_unpacked_when_it_is_chosen(tmp_path, opened):
    make_workdir(tmp_path, examples=3, methods=METHODS[:2], title="First", task="first")
    make_workdir(tmp_path, examples=5, methods=METHODS[2:3], title="Second", task="second")
    page = opened(render([tmp_path]))
    options = page.run("[...document.getElementById('setting').options].map((each) => each.textContent)")
    counts = {}
    for option in options:
        page.run(f"set('setting', {option!r})")
        page.wait(READY)
        counts[option.split(",")[0]] = page.run("statusText() + ' ' + texts('.method').length")
    assert counts == {
        "First": "3 of 3 examples, page 1 of 1 2",
        "Second": "5 of 5 examples, page 1 of 1 1",
    }


def test_a_browser_that_cannot_unpack_is_told_so(report, browser):
    script = browser.command("Page.addScriptToEvaluateOnNewDocument", source="delete globalThis.DecompressionStream")
    try:
        browser.open(report)
        assert "it has no DecompressionStream" in browser.run("document.getElementById('trouble').innerText")
        assert browser.run("document.getElementById('explorer').hidden")
    finally:
        browser.command("Page.removeScriptToEvaluateOnNewDocument", **script)


def test_a_damaged_pack_is_said_and_the_rest_of_the_page_stands(report, tmp_path, opened):
    page = tmp_path / "page.html"
    before, mark, after = report.read_text().partition('data-examples="100">')
    page.write_text(f"{before}{mark}AAAA{after[4:]}")
    shown = opened(page, "document.getElementById('trouble')?.hidden === false")
    assert "could not be unpacked" in shown.run("document.getElementById('trouble').innerText")
    assert shown.run("all('#results').length") == 1


def test_markup_in_a_prediction_is_shown_as_text_and_nothing_of_it_runs(tmp_path, browser, opened):
    make_workdir(tmp_path, examples=3, methods=METHODS[1:2])
    (folder,) = run_folders(tmp_path)
    attack = "<script>document.title='owned'</script></script><img src=x onerror=\"document.title='owned'\"><!-- <b>"
    row = read_rows(folder.predictions)[0]
    row |= {"prediction": f"{attack} so", "references": [attack], "id": attack, "input": attack * 2}
    row["demonstrations"] = [{"id": attack, "similarity": 0.5}]
    folder.predictions.unlink()
    append_rows(folder.predictions, [row])
    path = render([tmp_path])
    for bypass in (False, True):  # once with the page's content policy, once so that the escaping alone is tested
        browser.command("Page.setBypassCSP", enabled=bypass)
        page = opened(path)
        assert "owned" not in page.run("document.title")
        assert page.run("[document.images.length, document.scripts.length]") == [0, 2]  # the pack and the page's own
        assert page.run("[...texts('.name'), ...texts('.sides .text'), ...texts('.answers .text')]") == [
            *(attack, attack * 2, attack, f"{attack} so")
        ]
        assert attack in page.run("texts('.reading summary')")[0]
    browser.command("Page.setBypassCSP", enabled=False)


def test_the_content_policy_lets_only_the_pages_own_script_run(report, tmp_path, opened):
    page = tmp_path / "page.html"
    page.write_text(report.read_text().replace("</body>", "<script>document.title = 'owned'</script></body>"))
    shown = opened(page)
    assert shown.run("document.title").startswith("quickstart") and shown.run("shown().length") == 20


@pytest.mark.slow
def test_tens_of_thousands_of_examples_stay_quick_and_only_one_page_of_them_is_drawn(tmp_path, opened):
    make_workdir(tmp_path, examples=30_000, methods=METHODS[1:3])
    path = render([tmp_path])
    begin = time.monotonic()
    page = opened(path)
    assert time.monotonic() - begin < 20
    assert page.run("statusText()") == "30,000 of 30,000 examples, page 1 of 1,500"
    for act in ("set('query', '29999')", "set('winner', 'ICL, random one-shot')", "set('least', '0.8')"):
        assert page.run(f"const begin{len(act)} = performance.now(); {act}; performance.now() - begin{len(act)}") < 3000
    page.run("set('winner', 'any method'); set('least', '')")
    assert "test:29999" in page.run("shown()") and page.run("all('*').length") < 1500


def go_to(page, address):
    """As somebody who was sent the address: from another page."""
    for url, ready in (("about:blank", "true"), (address, READY)):
        page.command("Page.navigate", url=url)
        page.wait(f"location.href !== 'about:blank' && {ready}" if url != "about:blank" else ready)
    page.run(HELPERS)


def test_what_was_chosen_stands_in_the_address_and_is_found_again_by_it(report, opened, methods):
    page = opened(report)
    assert page.run("location.hash") == ""
    page.run("set('winner', 'IPT'); set('loser', 'PT'); set('order', 'largest difference first')")
    page.run("const box = all('#methods input')[0]; box.checked = false; box.dispatchEvent(new Event('change'))")
    page.run("all('.next')[0].click()")
    address, found, status = page.run("location.href"), page.run("shown()"), page.run("statusText()")
    assert "#find?" in address and "winner=IPT" in address and "page=2" in address and len(found) > 0
    go_to(page, address)
    assert page.run("shown()") == found and page.run("statusText()") == status
    assert page.run("all('#methods input').map((each) => each.checked).indexOf(false)") == 0
    assert page.run("location.hash") == address[address.index("#") :]
    page.run("set('query', 'no such word anywhere')")
    assert "text=no+such+word+anywhere" in page.run("location.hash")


@pytest.mark.parametrize(
    "hash", ["#find?winner=<b>&page=999&hide=x&order=none&from=a&setting=y", "#find?page=-3", "#find?"]
)
def test_an_address_that_asks_for_what_is_not_there_shows_what_is(report, opened, hash):
    page = opened(report)
    go_to(page, f"{report.as_uri()}{hash}")
    assert page.run("shown().length") > 0 and "examples, page" in page.run("statusText()")
