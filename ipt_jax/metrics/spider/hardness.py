"""How hard a query is by Spider's official count of its parts: easy, medium, hard or extra."""

from __future__ import annotations

from ipt_jax.metrics.spider.query import Query

HARDNESSES = ("easy", "medium", "hard", "extra")


def query_hardness(query: Query) -> str:
    """One of `HARDNESSES` (taoyds/spider, evaluation.py)."""
    clauses, nested, others = _clauses(query), _nested(query), _others(query)
    if nested == 0:
        if clauses <= 1 and others == 0:
            return "easy"
        if (clauses <= 1 and others <= 2) or (clauses <= 2 and others <= 1):
            return "medium"
        # Quirk: two clauses and two others are extra, although two and three, or three and two, are hard.
        if (clauses <= 2 and others > 2) or (clauses == 3 and others <= 2):
            return "hard"
    elif nested == 1 and clauses <= 1 and others == 0:
        return "hard"
    return "extra"


def _clauses(query: Query) -> int:
    """WHERE, GROUP BY, ORDER BY, LIMIT, each table after the first, each "or" and each LIKE."""
    present = [query.where, query.group_by, query.order, query.limit is not None]
    likes = sum(condition.comparison == "like" for condition in query.conditions)
    return sum(map(bool, present)) + max(len(query.tables) - 1, 0) + query.connectives.count("or") + likes


def _nested(query: Query) -> int:
    """Queries in conditions and behind a set operator; those in FROM do not count."""
    values = [value for condition in query.conditions for value in (condition.value, condition.second)]
    return sum(isinstance(value, Query) for value in values) + (query.combined is not None)


def _others(query: Query) -> int:
    """0 to 4: several aggregates, several selected columns, several WHERE conditions, several columns of GROUP BY."""
    ordered = query.order.expressions if query.order else ()
    columns = [
        *query.group_by,
        *(column for expression in ordered for column in (expression.left, expression.right) if column),
    ]
    aggregates = sum(aggregate != "none" for aggregate, _ in query.select)
    aggregates += sum(column.aggregate != "none" for column in columns)
    # Quirk: a NOT in WHERE or HAVING and a word between two conditions of HAVING count as aggregates, and the
    # aggregates in a condition do not.
    aggregates += sum(condition.negated for condition in query.where[::2])
    aggregates += sum(isinstance(part, str) or part.negated for part in query.having)
    # Quirk: the words between the conditions of WHERE are counted with them, which changes nothing.
    return sum(count > 1 for count in (aggregates, len(query.select), len(query.where), len(query.group_by)))
