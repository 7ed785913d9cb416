"""The tables of the learning-rate searches: for the page, and as text, Markdown, LaTeX and CSV."""

from collections.abc import Sequence

from ipt_jax.report.drawing.setting_tables import FOOTNOTE, caution, csv_text, score_spread
from ipt_jax.report.reading.learning_rates import Candidate, Search, outcome
from ipt_jax.report.reading.methods import Method, Setting
from ipt_jax.report.reading.metric_titles import metric_title
from ipt_jax.report.reading.statistics import Spread
from ipt_jax.tables import Table, latex_block, markdown_block, text_block

RULE = (
    "The best dev loss of a run is the lowest that it had, and its score is that of the prompt which had it. "
    "The score has no part in the choice, and a rate with a failed run is not chosen."
)


def search_table(setting: Setting, search: Search) -> Table:
    """A row per learning rate: dev loss and score over its seeds, best step of each seed, seeds, what came of it."""
    score = f"{metric_title(setting, setting['metric'])}, {setting['split']}"
    header = ["Learning rate", "Best dev loss", score, "Best step", "Seeds", "Outcome"]
    chosen = search.chosen
    rows = []
    for candidate in search.candidates:
        steps = ", ".join(str(run.training.get("best_step", "–")) for run in candidate.runs)
        seeds = ", ".join(str(run.seed) for run in candidate.runs)
        numbers = [_loss(candidate), str(_score(setting, search, candidate) or "–"), steps or "–", seeds or "–"]
        rows.append([f"{candidate.rate:g}", *numbers, outcome(candidate, chosen=candidate is chosen)])
    return Table(header, rows, scores=2)


def as_files(settings: Sequence[Setting]) -> dict[str, str]:
    """File ending → content, of the searches of all settings; {} without any."""
    searches = [(setting, search) for setting in settings for search in setting.searches]
    if not searches:
        return {}
    texts, markdown, latex = [], [], []
    for setting, search in searches:
        heading = f"Learning rates of {search.label}"
        content, notes = search_table(setting, search), [search.sentence, RULE, *caution(setting), FOOTNOTE]
        texts.append(text_block([heading, setting.title], content, notes))
        markdown.append(markdown_block(f"{heading}, {setting.title}", content, notes))
        latex.append(latex_block(f"{heading}, {setting.title}", content, notes))
    blocks = {"txt": texts, "md": markdown, "tex": latex}
    return {ending: "\n\n".join(block) + "\n" for ending, block in blocks.items()} | {"csv": _as_csv(searches)}


def _as_csv(searches: Sequence[tuple[Setting, Search]]) -> str:
    """A row per learning rate with unrounded numbers; deviations are empty for a single seed."""
    shared = ["task", "split", "examples", "model"]
    own = ["method", "learning_rate", "dev_loss", "dev_loss_deviation", "metric", "score", "score_deviation"]
    rows = [[*shared, *own, "best_steps", "seeds", "failed_seeds", "unfinished_seeds", "chosen"]]
    for setting, search in searches:
        for each in search.candidates:
            score, chosen = _score(setting, search, each), each is search.chosen
            numbers = [*_mean_and_deviation(each.loss), setting["metric"], *_mean_and_deviation(score)]
            lists = [[run.training.get("best_step", "") for run in each.runs]]
            lists += [[run.seed for run in runs] for runs in (each.runs, each.failed, each.unfinished)]
            place = [*(setting[key] for key in shared), search.label, each.rate]
            rows.append([*place, *numbers, *(" ".join(map(str, one)) for one in lists), chosen])
    return csv_text(rows)


def _score(setting: Setting, search: Search, candidate: Candidate) -> Spread | None:
    return score_spread(Method(search.label, candidate.runs), setting["metric"])


def _loss(candidate: Candidate) -> str:
    """With four digits: near the best rate losses differ in the third."""
    loss = candidate.loss
    if loss is None:
        return "–"
    return f"{loss.mean:.4f}" if loss.deviation is None else f"{loss.mean:.4f} ± {loss.deviation:.4f}"


def _mean_and_deviation(value: Spread | None) -> list[float | None]:
    return [None, None] if value is None else [value.mean, value.deviation]
