"""Chooses the official evaluators' verdicts in `tests/golden/official` from full sets, so that every kind occurs.

Run it from the repository's root where the full sets are at hand; the tests only read what it wrote:

    PYTHONPATH=. python tests/make_official_goldens.py --golden=PATH --data=PATH \\
        --dart_multi_bleu=dart/evaluation/multi-bleu.perl --logic2text_multi_bleu=Logic2Text/gpt_base/multi-bleu.perl

`--golden` holds a folder of verdicts per task and `--data` a folder of released files per task, in the formats that
`tests/golden/official/README.md` describes. A corpus has another BLEU than its parts, so the scores of the chosen
predictions are computed here, by the evaluators themselves: the two Perl scripts and sacrebleu. All other verdicts are
those of the full sets.
"""

from __future__ import annotations

import argparse
import collections
import gzip
import json
import random
import re
import subprocess
import tempfile
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import Any

import sacrebleu
from official import COMMITTED, read_json, read_lines

SEED = 0
# Upstream of DART, WebNLG does not allow commercial use: none of its texts is copied.
NOT_COPIED = "webnlg"
# The groups of DART whose predictions are the entry's own texts, changed, or those of DART's own example system.
DART_GROUPS = (
    "full:system_bart-large", "full:gold_first", "one_reference:drop1", "two_references:second+swap",
    "three_references:third+dup", "four_or_more:last+swapcase", "trunc", "twice_or_fluff", "case",
    "punctuation_and_entities", "unicode", "numbers", "some_empty", "triples_as_text", "other_gold",
    "full:nearest_train",
)  # fmt: skip
# Outputs of other people's systems are copied where their licence is known.
SYSTEMS = ("system:C3+ChatGPT", "system:official_sample")

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("golden", "data", "dart_multi_bleu", "logic2text_multi_bleu"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    arguments = parser.parse_args()
    for task, make in {"spider": spider, "mtop": mtop, "totto": totto}.items():
        make(arguments.golden / task, arguments.data / task, COMMITTED / task)
    dart(arguments.golden / "dart", arguments.data / "dart", COMMITTED / "dart", arguments.dart_multi_bleu)
    logic2text(
        arguments.golden / "logic2text", arguments.data / "logic2text", COMMITTED / "logic2text",
        arguments.logic2text_multi_bleu,
    )  # fmt: skip


def choose(rows: Sequence[Row], features: Callable[[Row], Iterable[Hashable]], each: int, total: int) -> list[Row]:
    """At least `total` rows in their order, among them `each` with every feature that rows have."""
    order, seen, chosen = random.Random(SEED).sample(range(len(rows)), len(rows)), collections.Counter(), set()
    for index in order:
        if any(seen[feature] < each for feature in features(rows[index])):
            chosen.add(index)
            seen.update(features(rows[index]))
    chosen.update([index for index in order if index not in chosen][: max(0, total - len(chosen))])
    return [rows[index] for index in sorted(chosen)]


def spider(golden: Path, data: Path, out: Path) -> None:
    rows = [row for row in read_lines(golden / "verdicts.jsonl.gz") if copied(row["kind"])]
    verdicts = choose(
        rows,
        lambda row: [
            (row["kind"], *(row["failed"] if row["parsed"] else ["not parsed"])),
            ("exact", row["exact"] and (row["kind"], row["hardness"])),
            ("failed", *row["failed"]),
            ("hardness", row["hardness"], row["prediction_hardness"], row["exact"]),
            ("another evaluator differs", row["exact"] != row["exact_elementai"] and row["kind"]),
            ("blank", not row["prediction"].strip()),
        ],
        each=1,
        total=700,
    )
    write_lines(out / "verdicts.jsonl.gz", verdicts)
    names = {row["db_id"] for row in verdicts}

    inputs = [row for row in read_lines(golden / "inputs.jsonl.gz") if row["db_id"] in names]
    chosen = choose(inputs, lambda row: [(row["id"].split(":")[0], row["db_id"])], each=1, total=80)
    cells = read_lines(golden / "inputs_with_cell.jsonl.gz")
    with_cells = choose(
        [row for row in cells if row["db_id"] in names], lambda row: [("db", row["db_id"])], each=1, total=60
    )
    for split, file in (("train", "train_spider.json.gz"), ("dev", "dev.json.gz")):
        copy_records(data / file, out / "release" / file, split, [*chosen, *with_cells])
    write_lines(out / "inputs.jsonl.gz", chosen)
    write_lines(out / "inputs_with_cell.jsonl.gz", with_cells)

    databases = json.loads((golden / "cell_databases.json").read_text(encoding="utf-8"))
    used = {row["db_id"] for row in with_cells}
    write_json(out / "cell_databases.json", {name: tables for name, tables in databases.items() if name in used})
    schemas = [entry for entry in read_json(data / "tables.json.gz") if entry["db_id"] in names]
    write_json(out / "release" / "tables.json.gz", schemas)


def mtop(golden: Path, data: Path, out: Path) -> None:
    def verdict(row: Row) -> tuple[int, ...]:
        return tuple(row[name] for name in ("exact_match", "intent_match", "template_match", "valid"))

    verdicts = choose(
        read_lines(golden / "verdicts.jsonl.gz"),
        lambda row: [*row["kind"].split("+"), (verdict(row), *row["kind"].split("+")[:1])],
        each=2,
        total=600,
    )
    write_lines(out / "verdicts.jsonl.gz", verdicts)

    inputs = choose(read_lines(golden / "inputs.jsonl.gz"), lambda row: [row["config"]], each=20, total=80)
    file = "en_test_first1000.jsonl.gz"
    records = read_lines(data / file)
    # The rows after those that are asked for are there for the rules of the tokeniser.
    others = [{"id": f"test_first1000:{index}"} for index in range(0, len(records), 5)]
    copy_records(data / file, out / "release" / file, "test_first1000", [*inputs, *others])
    write_lines(out / "inputs.jsonl.gz", inputs)
    for file in ("en_train.jsonl.gz", "en_eval.jsonl.gz"):
        records = read_lines(data / file)
        write_lines(out / "release" / file, random.Random(SEED).sample(records, 150))


def totto(golden: Path, data: Path, out: Path) -> None:
    rows = [row for row in read_lines(golden / "predictions.jsonl.gz") if copied(row["group"])]
    lines = {row["id"]: row["detok_references"] for row in read_lines(golden / "examples.jsonl.gz")}
    for row in rows:  # The evaluator's own text of the references is known of most examples.
        references = lines.get(row["id"])
        row["bleu"] = references and round(
            sacrebleu.corpus_bleu([row["detok_prediction"]], [[text] for text in references]).score, 6
        )
    write_lines(out / "predictions.jsonl.gz", rows)
    groups = read_json(golden / "groups.json")
    write_json(out / "groups.json", [group for group in groups if copied(group["group"])])
    write_lines(out / "examples.jsonl.gz", read_lines(golden / "examples.jsonl.gz"))

    file = "totto_dev_sample.jsonl.gz"
    write_lines(out / "release" / file, read_lines(data / file))
    file = "totto_train_sample.jsonl.gz"
    official = [record for record in read_lines(data / file) if "_source" not in record]
    write_lines(out / "release" / file, official)
    inputs = read_lines(golden / "inputs.jsonl.gz")
    write_lines(
        out / "inputs.jsonl.gz",
        [row for row in inputs if row["id"].startswith("dev") or int(row["id"].split(":")[1]) < len(official)],
    )


def dart(golden: Path, data: Path, out: Path, multi_bleu: Path) -> None:
    records = {split: read_json(data / f"dart-v1.1.1-full-{split}.json.gz") for split in ("train", "dev", "test")}
    forbidden = {
        note["text"].strip()
        for entries in records.values() for entry in entries for note in entry["annotations"]
        if note["source"].startswith(NOT_COPIED)
    }  # fmt: skip

    def allowed(row: Row) -> bool:
        split, index = row["id"].split(":")[:2]
        notes = records[split][int(index)]["annotations"]
        ours = not any(note["source"].startswith(NOT_COPIED) for note in notes)
        return ours and row.get("prediction", "").strip() not in forbidden

    references = {row["id"]: row for row in read_lines(golden / "references.jsonl.gz")}
    found = collections.defaultdict(list)
    for row in filter(allowed, read_lines(golden / "predictions.jsonl.gz")):
        found[row["group"]].append(row)
    predictions, groups = [], []
    for name in DART_GROUPS:
        rows = choose(
            found[name],
            lambda row: [
                ("references", min(4, len(references[row["id"]]["references"]))),
                ("empty", not row["prediction"].strip()),
                ("ascii", row["prediction"].isascii()),
                ("short", 0 < len(row["prediction"].split()) < 4 and row["sentence_bleu"] > 0),
            ],
            each=3,
            total=15,
        )
        lines = [references[row["id"]]["official"] for row in rows]
        tokens = [row["prediction_tokenised"] for row in rows]
        for row, line in zip(rows, lines, strict=True):
            row["official_printed"] = run_multi_bleu(multi_bleu, [row["prediction_tokenised"]], [line])
        texts = [[text.strip() for text in references[row["id"]]["references"]] for row in rows]
        predictions += rows
        groups.append(
            {
                "group": name,
                "predictions": len(rows),
                "official": {"printed": run_multi_bleu(multi_bleu, tokens, lines)},
                "unifiedskg": sacrebleu_scores([row["prediction"].strip() for row in rows], texts),
            }
        )
    write_lines(out / "predictions.jsonl.gz", predictions)
    write_json(out / "groups.json", groups)
    write_lines(out / "references.jsonl.gz", [references[name] for name in dict.fromkeys(r["id"] for r in predictions)])

    inputs = [row for row in read_lines(golden / "inputs.jsonl.gz") if allowed(row)]
    chosen = choose(inputs, lambda row: [row["id"].split(":")[0]], each=20, total=90)
    for split in records:
        file = f"dart-v1.1.1-full-{split}.json.gz"
        copy_records(data / file, out / "release" / file, split, chosen)
    write_lines(out / "inputs.jsonl.gz", chosen)


def logic2text(golden: Path, data: Path, out: Path, multi_bleu: Path) -> None:
    def features(row: Row) -> list[Hashable]:
        pieces = {piece.strip() for piece in re.split(r"[{};]", row["logic_str"])}
        said = [("piece", piece, piece in row["unmatched"]) for piece in pieces if re.fullmatch("[a-z_]+", piece)]
        number = [("digits", len(piece), piece in row["unmatched"]) for piece in pieces if piece.isdigit()]
        kinds = row["kind"].split("+")
        return [*kinds, (row["blec"], kinds[0]), ("not", "not" in row["unmatched"], row["blec"]), *said, *number]

    rows = [row for row in read_lines(golden / "verdicts.jsonl.gz") if copied(row["kind"])]
    functions = {piece for row in rows for piece in row["unmatched"] if re.fullmatch("[a-z_]+", piece)}
    verdicts = choose(
        rows,
        lambda row: [name for name in features(row) if name[0] != "piece" or name[1] in functions],
        each=3,
        total=600,
    )
    write_lines(out / "verdicts.jsonl.gz", verdicts)

    found = collections.defaultdict(list)
    for row in read_lines(golden / "bleu_predictions.jsonl.gz"):
        if "system" not in row["group"]:
            found[row["group"]].append(row)
    predictions, groups = [], []
    for name, rows in found.items():
        rows = choose(
            rows, lambda row: [("empty", not row["prediction"]), ("ascii", row["prediction"].isascii())], 3, 18
        )
        texts = [row["prediction"] for row in rows]
        for row in rows:
            row["official_printed"] = run_multi_bleu(multi_bleu, [row["prediction"]], [[row["reference"]]])
        predictions += rows
        groups.append(
            {
                "group": name,
                "predictions": len(rows),
                "multi_bleu": {"printed": run_multi_bleu(multi_bleu, texts, [[row["reference"]] for row in rows])},
                "sacrebleu_13a": sacrebleu_scores(texts, [[row["reference"]] for row in rows])["bleu"],
            }
        )
    write_lines(out / "bleu_predictions.jsonl.gz", predictions)
    passed = sum(row["blec"] for row in verdicts) / len(verdicts)
    write_json(out / "overall.json", {"pairs": len(verdicts), "blec": passed, "bleu_groups": groups})

    inputs = choose(read_lines(golden / "inputs.jsonl.gz"), lambda row: [row["id"].split(":")[0]], each=20, total=60)
    for name in ("train", "valid", "test"):
        copy_records(data / f"{name}.json.gz", out / "release" / f"{name}.json.gz", name, inputs)
    write_lines(out / "inputs.jsonl.gz", inputs)


def copied(kind: str) -> bool:
    return not kind.startswith("system:") or kind in SYSTEMS


def copy_records(source: Path, target: Path, prefix: str, rows: Sequence[Row]) -> None:
    """Copies the records that rows name by `prefix:index`, and changes these ids to their new places."""
    lines = source.name.endswith(".jsonl.gz")
    records = read_lines(source) if lines else read_json(source)
    own = [row for row in rows if row["id"].split(":")[0] == prefix]
    kept = sorted({int(row["id"].split(":")[1]) for row in own})
    for row in own:
        _, index, *rest = row["id"].split(":")
        row["id"] = ":".join([prefix, str(kept.index(int(index))), *rest])
    (write_lines if lines else write_json)(target, [records[index] for index in kept])


def run_multi_bleu(script: Path, predictions: Sequence[str], references: Sequence[Sequence[str]]) -> str:
    """The line that the script prints; empty where it stops, as it does at a division by a length of zero."""
    with tempfile.TemporaryDirectory() as folder:
        for number, texts in enumerate(zip(*references, strict=True)):
            (Path(folder) / f"reference{number}").write_bytes("".join(f"{text}\n" for text in texts).encode())
        done = subprocess.run(
            ["perl", script, f"{folder}/reference"],
            input="".join(f"{text}\n" for text in predictions).encode(),
            capture_output=True,
        )
    return done.stdout.decode().strip()


def sacrebleu_scores(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> Row:
    width = max(map(len, references))
    streams = [[texts[n] if n < len(texts) else None for texts in references] for n in range(width)]
    score = sacrebleu.corpus_bleu(predictions, streams)
    return {
        "bleu": round(score.score, 6),
        "counts": score.counts,
        "totals": score.totals,
        "hyp_len": score.sys_len,
        "ref_len": score.ref_len,
    }


def write_lines(path: Path, rows: Iterable[Row]) -> None:
    _write(path, "".join(json.dumps(row) + "\n" for row in rows))


def write_json(path: Path, value: Any) -> None:
    _write(path, json.dumps(value, indent=1))


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    data = text.encode("ascii")
    path.write_bytes(gzip.compress(data, mtime=0) if path.suffix == ".gz" else data)


if __name__ == "__main__":
    main()
