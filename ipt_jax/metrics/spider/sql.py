"""Reads a query the way Spider's official evaluator does (taoyds/spider, process_sql.py), its quirks included.

The official parser knows the SQL of Spider's golds and no other; what it cannot read scores 0, so a reader that
understood more would give other scores. Comments that begin with "Quirk" mark where SQL itself says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ipt_jax.metrics.spider.query import (
    AGGREGATES,
    SET_OPERATORS,
    Column,
    Condition,
    Conditions,
    Expression,
    NotParsed,
    Order,
    Query,
    Schema,
    Value,
)
from ipt_jax.metrics.spider.tokens import tokenise

# Predictions are untrusted, and the official parser goes on until Python's stack ends. No gold of Spider has more
# than 577 characters or 8 queries in one.
MAX_CHARACTERS = 20_000
MAX_QUERIES_DEEP = 60

_ARITHMETIC = ("none", "-", "+", "*", "/")
_COMPARISONS = ("not", "between", "=", ">", "<", ">=", "<=", "!=", "in", "like", "is", "exists")
_CLAUSES = frozenset(("select", "from", "where", "group", "order", "limit", *SET_OPERATORS))
_JOINS = frozenset(("join", "on", "as"))
_CLAUSE_ENDS = _CLAUSES | {")", ";"}


def parse(sql: str, schema: Schema) -> Query:
    """The query that a text begins with.

    Quirk: what follows the last clause that can be read is passed over, whatever it is.

    Raises:
      NotParsed: the official evaluator cannot read it, or it is longer or deeper than the limits of this file.
    """
    if len(sql) > MAX_CHARACTERS:
        raise NotParsed(f"{len(sql):,} characters are more than {MAX_CHARACTERS:,}")
    tokens = tokenise(sql)
    return _Parser(tokens, _aliases(tokens, schema), schema).query()


def _aliases(tokens: Sequence[str], schema: Schema) -> dict[str, str]:
    """Alias → the word before AS, and every table → itself."""
    # Quirk: one map for the whole text, subqueries and all; a later definition of an alias wins everywhere.
    places = [index for index, token in enumerate(tokens) if token == "as"]
    if places and places[-1] == len(tokens) - 1:
        raise NotParsed("nothing follows AS")
    aliases = {tokens[index + 1]: tokens[index - 1] for index in places}
    for table in schema.tables:
        if table in aliases:
            raise NotParsed(f"the alias {table!r} is a table's name")
        aliases[table] = table
    return aliases


class _Parser:
    """Recursive descent over the tokens; each method reads its part and moves behind it."""

    def __init__(self, tokens: Sequence[str], aliases: Mapping[str, str], schema: Schema):
        self._tokens = tokens
        self._aliases = aliases
        self._schema = schema
        self._position = 0
        self._depth = 0

    @property
    def _token(self) -> str:
        """The word at the position, or '' behind the last one."""
        return self._tokens[self._position] if self._position < len(self._tokens) else ""

    def _next(self) -> str:
        token = self._token
        self._position += 1
        return token

    def _accept(self, *words: str) -> bool:
        """Moves over one of the words; False where another stands here."""
        found = self._token in words
        self._position += found
        return found

    def _expect(self, *words: str) -> str:
        if self._token not in words:
            raise NotParsed(f"{' or '.join(words)} should stand where {self._token!r} does")
        return self._next()

    def query(self) -> Query:
        self._depth += 1
        if self._depth > MAX_QUERIES_DEEP:
            raise NotParsed(f"more than {MAX_QUERIES_DEEP} queries in each other")
        block = self._accept("(")
        start = self._position
        # FROM first: it says to which table a bare column belongs.
        tables, on, owners = self._from()
        end, self._position = self._position, start
        distinct, select = self._select(owners)
        self._position = end
        where = self._conditions(owners) if self._accept("where") else ()
        group_by = self._group_by(owners)
        having = self._conditions(owners) if self._accept("having") else ()
        order = self._order(owners)
        limit = self._limit()
        self._semicolons()
        if block:
            self._expect(")")
        self._semicolons()
        combined = (self._next(), self.query()) if self._token in SET_OPERATORS else None
        self._depth -= 1
        return Query(distinct, select, tables, on, where, group_by, having, order, limit, combined)

    def _semicolons(self) -> None:
        while self._accept(";"):
            pass

    def _from(self) -> tuple[tuple[str | Query, ...], Conditions, list[str]]:
        """The tables and queries, the conditions of ON, and the tables that a bare column may belong to."""
        try:
            self._position = self._tokens.index("from", self._position) + 1
        except ValueError:
            raise NotParsed("there is no FROM") from None
        tables: list[str | Query] = []
        on: list[Condition | str] = []
        owners: list[str] = []
        while self._token:
            block = self._accept("(")
            if self._token == "select":
                tables.append(self.query())
            else:
                # Quirk: JOIN is no more than an optional word, and nothing else may stand between two tables.
                self._accept("join")
                table = self._table()
                tables.append(table)
                owners.append(table)
            if self._accept("on"):
                on += ["and"] * bool(on) + list(self._conditions(owners))
            if block:
                self._expect(")")
            if self._token in _CLAUSE_ENDS:
                break
        return tuple(tables), tuple(on), owners

    def _table(self) -> str:
        token = self._next()
        table = self._aliases.get(token, "")
        if table not in self._schema.tables:
            raise NotParsed(f"{token!r} is not a table")
        if self._token == "as":
            self._position += 2
        return table

    def _select(self, owners: Sequence[str]) -> tuple[bool, tuple[tuple[str, Expression], ...]]:
        self._expect("select")
        distinct = self._accept("distinct")
        items = []
        while self._token and self._token not in _CLAUSES:
            aggregate = self._next() if self._token in AGGREGATES else "none"
            items.append((aggregate, self._expression(owners)))
            self._accept(",")
        return distinct, tuple(items)

    def _group_by(self, owners: Sequence[str]) -> tuple[Column, ...]:
        columns = []
        if self._accept("group"):
            self._expect("by")
            while self._token and self._token not in _CLAUSE_ENDS:
                columns.append(self._column(owners))
                if not self._accept(","):
                    break
        return tuple(columns)

    def _order(self, owners: Sequence[str]) -> Order | None:
        if not self._accept("order"):
            return None
        self._expect("by")
        direction, expressions = "asc", []
        while self._token and self._token not in _CLAUSE_ENDS:
            expressions.append(self._expression(owners))
            if self._token in ("asc", "desc"):
                direction = self._next()  # Quirk: only the last direction is kept.
            if not self._accept(","):
                break
        return Order(direction, tuple(expressions))

    def _limit(self) -> int | None:
        if not self._accept("limit"):
            return None
        try:
            return int(self._next())
        except ValueError as error:
            raise NotParsed(str(error)) from None

    def _conditions(self, owners: Sequence[str]) -> Conditions:
        # Quirk: "and" or "or" may be missing between two conditions.
        conditions: list[Condition | str] = []
        while self._token:
            expression = self._expression(owners)
            negated = self._accept("not")
            comparison = self._expect(*_COMPARISONS)
            value, second = self._value(owners), None
            if comparison == "between":
                self._expect("and")
                second = self._value(owners)
            conditions.append(Condition(negated, comparison, expression, value, second))
            if self._token in _CLAUSE_ENDS or self._token in _JOINS:
                break
            if self._token in ("and", "or"):
                conditions.append(self._next())
        return tuple(conditions)

    def _value(self, owners: Sequence[str]) -> Value:
        start = self._position
        block = self._accept("(")
        if self._token == "select":
            value: Value = self.query()
        elif '"' in self._token:
            value = self._next()
        else:
            try:
                value = float(self._token)
                self._position += 1
            except ValueError:
                value = self._column_as_value(start, owners)
        if block:
            self._expect(")")
        return value

    def _column_as_value(self, start: int, owners: Sequence[str]) -> Column:
        # Quirk: only the first words up to the next one of these are read, the others are lost: an "or" as well.
        while self._token and self._token not in _CLAUSES | _JOINS | {",", ")", "and"}:
            self._position += 1
        return _Parser(self._tokens[start : self._position], self._aliases, self._schema)._column(owners)

    def _expression(self, owners: Sequence[str]) -> Expression:
        block = self._accept("(")
        left = self._column(owners)
        operator, right = "none", None
        if self._token in _ARITHMETIC:
            operator, right = self._next(), self._column(owners)
        if block:
            self._expect(")")
        return Expression(operator, left, right)

    def _column(self, owners: Sequence[str]) -> Column:
        block = self._accept("(")
        aggregate = self._next() if self._token in AGGREGATES else None
        if aggregate:
            self._expect("(")
        distinct = self._accept("distinct")
        name = self._name(owners)
        # Quirk: a parenthesis around an aggregate may open here, but is not closed here.
        if aggregate or block:
            self._expect(")")
        return Column(aggregate or "none", name, distinct)

    def _name(self, owners: Sequence[str]) -> str:
        token = self._next()
        if token == "*":
            return token
        alias, dot, column = token.partition(".")
        # A bare column is of the first table in FROM that has it.
        tables = [self._aliases.get(alias, "")] if dot else owners
        for table in tables:
            if (column if dot else token) in self._schema.tables.get(table, ()):
                return f"{table}.{column if dot else token}"
        raise NotParsed(f"{token!r} is not a column here")
