"""Spider's exact set match (Yu et al. 2018): does a predicted query have the gold's parts, values aside?

The verdicts are those of the official evaluator, taoyds/spider at commit b7b5b8c, `--etype match` as shipped: values
and DISTINCT disabled. Comments that begin with "Quirk" mark where that is not what SQL means.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from absl import logging

from ipt_jax.metrics.metric import Judged, Metric, Rows, mean, scored
from ipt_jax.metrics.spider.hardness import query_hardness
from ipt_jax.metrics.spider.query import Column, Condition, Conditions, Expression, NotParsed, Order, Query, Schema
from ipt_jax.metrics.spider.sql import parse

SPIDER_MATCH_SIGNATURE = "spider|etype:match|values:no|distinct:no|reference:taoyds/spider@b7b5b8c"


class SpiderMatch(NamedTuple):
    """The verdict on a prediction.

    Attributes:
      exact: every component agrees, and so do the sets of tables.
      hardness: the gold's, one of easy, medium, hard, extra.
      parsed: False where the prediction cannot be read; it is then compared as a query without any part.
      failed: the components of `COMPONENTS` that differ; `tables` if all agree and only the tables differ.
    """

    exact: bool
    hardness: str
    parsed: bool
    failed: tuple[str, ...]


def spider_match(gold: str, prediction: str, schema: Schema) -> SpiderMatch:
    """Compares a prediction with the gold query.

        >>> schema = Schema.from_tables({
        ...     "table_names_original": ["Singer"], "foreign_keys": [],
        ...     "column_names_original": [[-1, "*"], [0, "Name"], [0, "Age"]],
        ... })
        >>> spider_match("SELECT name, age FROM singer", "select AGE, name from singer", schema).exact
        True
        >>> spider_match("SELECT name FROM singer", "select max(name) from singer", schema).failed
        ('select',)

    Raises:
      NotParsed: the gold cannot be read; the official script stops there.
    """
    wanted = comparable(gold, schema)
    try:
        found, parsed = comparable(prediction, schema), True
    except NotParsed:
        found, parsed = Query(), False
    failed = _failed(found, wanted)
    return SpiderMatch(parsed and not failed, query_hardness(wanted), parsed, failed)


def comparable(sql: str, schema: Schema) -> Query:
    """The query without what does not count in a comparison, and with foreign keys replaced by the keys they mean.

    Raises:
      NotParsed: see `parse`; also where the official script stops because "and" and "or" are out of step.
    """
    query = _without_values(parse(sql, schema))
    # Quirk: the tables of the outermost FROM decide, also for the queries behind a set operator.
    tables = {table for table in query.tables if isinstance(table, str)}
    return _with_keys(query, {name: key for name, key in schema.keys.items() if name.partition(".")[0] in tables})


def _without_values(query: Query) -> Query:
    # Quirk: queries in FROM keep their values.
    return dataclasses.replace(
        query,
        on=_conditions_without_values(query.on),
        where=_conditions_without_values(query.where),
        having=_conditions_without_values(query.having),
        combined=query.combined and (query.combined[0], _without_values(query.combined[1])),
    )


def _conditions_without_values(conditions: Conditions) -> Conditions:
    # Quirk: every second part is taken for "and" or "or". Where one of these is missing between two conditions, the
    # second of them keeps its values here and counts as a word below.
    if any(isinstance(part, str) for part in conditions[::2]):
        raise NotParsed('an "and" or "or" stands in the place of a condition')
    return tuple(
        dataclasses.replace(part, value=_nested_query(part.value), second=_nested_query(part.second))
        if index % 2 == 0
        else part
        for index, part in enumerate(conditions)
    )


def _nested_query(value: object) -> Query | None:
    return _without_values(value) if isinstance(value, Query) else None


def _with_keys(query: Query, keys: Mapping[str, str]) -> Query:
    # Quirk: a query in a condition or in FROM keeps its columns and its DISTINCTs, and so is compared literally.
    def column(old: Column | None) -> Column | None:
        return old and Column(old.aggregate, keys.get(old.name, old.name), distinct=False)

    def expression(old: Expression) -> Expression:
        return Expression(old.operator, column(old.left), column(old.right))

    def conditions(old: Conditions) -> Conditions:
        return tuple(
            part if index % 2 else dataclasses.replace(part, expression=expression(part.expression))
            for index, part in enumerate(old)
        )

    return dataclasses.replace(
        query,
        select=tuple((aggregate, expression(old)) for aggregate, old in query.select),
        on=conditions(query.on),
        where=conditions(query.where),
        group_by=tuple(map(column, query.group_by)),
        having=conditions(query.having),
        order=query.order and Order(query.order.direction, tuple(map(expression, query.order.expressions))),
        combined=query.combined and (query.combined[0], _with_keys(query.combined[1], keys)),
    )


def _failed(found: Query, gold: Query) -> tuple[str, ...]:
    failed = tuple(name for name, agree in COMPONENTS.items() if not agree(found, gold))
    # Quirk: a gold without any table, as in "SELECT * FROM", matches with all tables.
    if not failed and gold.tables and Counter(found.tables) != Counter(gold.tables):
        return ("tables",)
    return failed


def _same(part: Callable[[Query], Collection]) -> Callable[[Query, Query], bool]:
    """Agreement in the parts that are picked, each as often, in any order."""
    return lambda found, gold: Counter(part(found)) == Counter(part(gold))


def _group(found: Query, gold: Query) -> bool:
    # Quirk: HAVING is compared only where there is a GROUP BY, and an aggregate in GROUP BY does not count.
    if not found.group_by or not gold.group_by:
        return bool(found.group_by) == bool(gold.group_by)
    names = [[column.name for column in query.group_by] for query in (found, gold)]
    return names[0] == names[1] and found.having == gold.having


def _order(found: Query, gold: Query) -> bool:
    # LIMIT's number does not count; without ORDER BY the keywords compare whether there is a LIMIT.
    limits = [query.limit is not None for query in (found, gold)]
    return found.order == gold.order and (gold.order is None or limits[0] == limits[1])


def _combined(found: Query, gold: Query) -> bool:
    if not found.combined or not gold.combined:
        return found.combined == gold.combined
    return found.combined[0] == gold.combined[0] and not _failed(found.combined[1], gold.combined[1])


def _keywords(query: Query) -> set[str]:
    clauses = {
        "where": query.where,
        "group": query.group_by,
        "having": query.having,
        "order": query.order,
        "limit": query.limit is not None,
        "or": "or" in query.connectives,
        "not": any(condition.negated for condition in query.conditions),
    }
    words = {word for word, present in clauses.items() if present}
    words |= {condition.comparison for condition in query.conditions} & {"in", "like"}
    return words | ({query.order.direction} if query.order else set()) | set((query.combined or ())[:1])


def _where(query: Query) -> tuple[Condition, ...]:
    return query.where[::2]


# The official partial components under their official names: do prediction and gold agree?
COMPONENTS: Mapping[str, Callable[[Query, Query], bool]] = {
    "select": _same(lambda query: query.select),
    "select(no AGG)": _same(lambda query: [expression for _, expression in query.select]),
    "where": _same(_where),
    "where(no OP)": _same(lambda query: [condition.expression for condition in _where(query)]),
    # Quirk: here a column of any table with the same name will do; in "group" it will not.
    "group(no Having)": _same(lambda query: [column.name.rpartition(".")[2] for column in query.group_by]),
    "group": _group,
    "order": _order,
    "and/or": lambda found, gold: set(found.where[1::2]) == set(gold.where[1::2]),
    "IUEN": _combined,
    "keywords": lambda found, gold: _keywords(found) == _keywords(gold),
}


def match_metrics(schema_of: Callable[[str], Schema]) -> tuple[Metric, Metric]:
    """Exact matches, and predictions that parse. A gold that cannot be parsed is never matched, and told.

    Args:
      schema_of: `Example.details["db_id"]` → the database's schema.
    """

    def verdicts(prediction: str, example: Judged) -> tuple[float, float]:
        schema = schema_of(example.details["db_id"])
        try:
            match = spider_match(example.references[0], prediction, schema)
        except NotParsed as error:
            logging.warning("%s: its gold query cannot be parsed, so nothing matches it: %s", example.id, error)
            return 0.0, 0.0
        return 100.0 * match.exact, 100.0 * match.parsed

    def rows(predictions: Sequence[str], examples: Sequence[Judged]) -> Rows:
        return scored([verdicts(*pair) for pair in zip(predictions, examples, strict=True)])

    return (
        Metric("exact_match", "exact match", "", SPIDER_MATCH_SIGNATURE, rows, mean(0), mean(0)),
        Metric("parsed", "parsed", "", SPIDER_MATCH_SIGNATURE, rows, mean(1), mean(1)),
    )


def gold_hardness(gold: str, schema: Schema) -> str | None:
    """The hardness of a gold query; None where it cannot be parsed."""
    try:
        return query_hardness(comparable(gold, schema))
    except NotParsed:
        return None
