"""What metrics are called in tables, and what their conventions mean: as results say it of themselves."""

from collections.abc import Mapping
from typing import Any

from ipt_jax.report.reading.methods import Setting

# For results of version 0.1.0, which do not say it: the name of a metric → its title.
_TITLES = {
    "blec": "BLEC",
    "bleu": "BLEU",
    "bleu_official": "BLEU (official)",
    "bleu_sacrebleu": "BLEU (sacrebleu)",
    "bleu_totto_official": "BLEU (official)",
    "bleu_unifiedskg": "BLEU (UnifiedSKG)",
    "chrf": "chrF",
    "exact_match": "exact match",
    "execution_match": "execution match",
    "intent_match": "intent match",
    "parent": "PARENT",
    "parent_precision": "PARENT precision",
    "parent_recall": "PARENT recall",
    "rouge_l": "ROUGE-L",
    "template_match": "template match",
}

# The first field of a signature → what it stands for. The same title can stand over other conventions in other tasks.
_MEANINGS = {
    "convention:blec-logic2text": "sentences that say every piece of their logical form, by UnifiedSKG's rules",
    "convention:dart_official": (
        "as DART's own script computes it (lower-cased, split at punctuation, the first three references)"
    ),
    "convention:multi-bleu": "as Logic2Text's own script computes it (multi-bleu.perl: cased, unsmoothed)",
    "convention:totto_official": "as ToTTo's own script computes it (lower-cased, detokenised, three references)",
    "convention:unifiedskg": "as UnifiedSKG computes it (sacrebleu, 13a tokens, cased, all references)",
}


def metric_title(setting: Setting, name: str) -> str:
    """'bleu_official' → 'BLEU (official)'; a metric without a title is called by its name."""
    return str(_described(setting, name).get("title") or _TITLES.get(name, name))


def metric_meaning(setting: Setting, name: str) -> str:
    """What the convention of a metric stands for; empty where its title or its signature says it all."""
    if described := _described(setting, name):
        return str(described.get("meaning") or "")
    signatures = (setting["scores"] or {}).get("signatures") or {}
    return _MEANINGS.get(str(signatures.get(name, "")).partition("|")[0], "")


def _described(setting: Setting, name: str) -> Mapping[str, Any]:
    return (setting["metrics"] or {}).get(name) or {}
