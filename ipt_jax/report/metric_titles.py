"""What metrics are called in tables, and what their conventions mean."""

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
    "meteor": "METEOR",
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


def metric_title(name: str) -> str:
    """'bleu_official' → 'BLEU (official)'; a metric without a title is called by its name."""
    return _TITLES.get(name, name)


def metric_meaning(signature: str) -> str:
    """What the convention that a signature names stands for; empty where its name says it all."""
    return _MEANINGS.get(signature.partition("|")[0], "")
