"""The vocabulary of Spider's exact match: a database's schema, and a query as the official evaluator sees it."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeAlias

AGGREGATES = ("none", "max", "min", "count", "sum", "avg")
SET_OPERATORS = ("intersect", "union", "except")


class NotParsed(ValueError):
    """The official evaluator cannot read this text as a query of this database."""


@dataclasses.dataclass(frozen=True)
class Schema:
    """What matching needs of a database; every name in lower case.

    Attributes:
      tables: table → its columns.
      keys: `table.column` → the first column of its foreign-key set, for every column in such a set.
    """

    tables: Mapping[str, Collection[str]]
    keys: Mapping[str, str]

    @classmethod
    def from_tables(cls, entry: Mapping[str, Any]) -> Schema:
        """The schema of an entry of Spider's tables.json."""
        tables = [table.lower() for table in entry["table_names_original"]]
        columns: dict[str, list[str]] = {table: [] for table in tables}
        names = []
        for table, column in entry["column_names_original"]:
            if table >= 0:
                columns[tables[table]].append(column.lower())
            names.append(f"{tables[table]}.{column.lower()}" if table >= 0 else column)
        return cls(columns, _keys(entry["foreign_keys"], names))


def _keys(pairs: Sequence[Sequence[int]], names: Sequence[str]) -> dict[str, str]:
    # Quirk: a pair joins the first set that has one of its columns; two sets that a later pair ties stay apart.
    sets: list[set[int]] = []
    for pair in pairs:
        known = next((known for known in sets if not known.isdisjoint(pair)), None)
        if known is None:
            known = set()
            sets.append(known)
        known.update(pair)
    return {names[index]: names[min(known)] for known in sets for index in known}


@dataclasses.dataclass(frozen=True)
class Column:
    """A column in use, such as `count(DISTINCT singer.name)`; the name `*`, the aggregate `none` where it has none."""

    aggregate: str
    name: str
    distinct: bool


@dataclasses.dataclass(frozen=True)
class Expression:
    """A column, or two with an arithmetic operator between them (`none` for one)."""

    operator: str
    left: Column
    right: Column | None


Value: TypeAlias = "float | str | Column | Query | None"


@dataclasses.dataclass(frozen=True)
class Condition:
    """A comparison; `second` is the upper end of BETWEEN. A value that does not count is None."""

    negated: bool
    comparison: str
    expression: Expression
    value: Value
    second: Value


# Conditions with the words "and" and "or" between them.
Conditions: TypeAlias = tuple[Condition | str, ...]


@dataclasses.dataclass(frozen=True)
class Order:
    """ORDER BY: one direction, `asc` or `desc`, for all of it."""

    direction: str
    expressions: tuple[Expression, ...]


@dataclasses.dataclass(frozen=True)
class Query:
    """A SELECT with all its clauses. Without any it is no SQL: it stands for a text that could not be read.

    Attributes:
      select: pairs of an aggregate that stands before an expression, and the expression.
      tables: the FROM clause, each a table's name or a query.
      on: the conditions of all its JOINs, with "and" between those of one and the next.
      combined: an operator of `SET_OPERATORS` and the query behind it.
    """

    distinct: bool = False
    select: tuple[tuple[str, Expression], ...] = ()
    tables: tuple[str | Query, ...] = ()
    on: Conditions = ()
    where: Conditions = ()
    group_by: tuple[Column, ...] = ()
    having: Conditions = ()
    order: Order | None = None
    limit: int | None = None
    combined: tuple[str, Query] | None = None

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """Those of ON, WHERE and HAVING, without the words between them."""
        return (*self.on[::2], *self.where[::2], *self.having[::2])

    @property
    def connectives(self) -> tuple[str, ...]:
        """The words between the conditions of ON, WHERE and HAVING."""
        return (*self.on[1::2], *self.where[1::2], *self.having[1::2])
