"""No table is read in a place where a tool that asks sqlglot would not see it.

Superset, for one, takes as the tables of a statement those in its scopes, less what bears the name
of a WITH around it. SQLite reads tables in more places than that. Where the two part, the
statement is put so that the table shows, or refused.
"""

from __future__ import annotations

from sqlglot import exp
from sqlglot.optimizer.scope import traverse_scope

from thanosql_dbapi.language import tree

from .sqlglot_nodes import Reading

_RUN_BEFORE = (tree.Convert, tree.Predict, tree.Evaluate)
"""Statements whose query is run by itself, before the SQL around them."""


def show_in_tables(expression: exp.Expression) -> None:
    """Write ``x IN table``, which SQLite has, as ``x IN (SELECT * FROM table)``."""
    for node in list(expression.find_all(exp.In)):
        field = node.args.get("field")
        if isinstance(field, exp.Column):
            table = exp.Table(this=field.this, db=field.args.get("table"))
        elif isinstance(field, exp.Literal):
            table = exp.Table(this=exp.to_identifier(field.name, quoted=True))
        else:
            continue
        node.set("field", None)
        node.set("query", exp.Subquery(this=exp.select("*").from_(table)))


def hidden_table(expression: exp.Expression) -> str | None:
    """Return what is wrong with the tables of a statement, None where every one can be seen.

    Args:
        expression: A whole statement.
    """
    defined = list(expression.find_all(exp.CTE))
    seen = {id(table) for scope in traverse_scope(expression) for table in scope.tables}
    for table in expression.find_all(exp.Table):
        name = table.name.lower()
        named = [each for each in defined if each.alias.lower() == name]
        if table.db and named:
            return f"{table.db}.{table.name} is a table and {table.name} a WITH; rename the WITH"
        for each in named:
            if verb := _hidden_by(each, table):
                what = f"{verb} does not see the WITH {table.name} around it"
                return f"{what}; put the WITH in its query"
        # What a statement writes is not read; and EXPLAIN is asked for all its tables.
        is_read = table.find_ancestor(exp.Query, exp.Values, exp.From, exp.Join)
        if is_read and id(table) not in seen and not table.find_ancestor(exp.Describe):
            return f"table {table.name} cannot be checked in this place; read it in a SELECT"
    return None


def _hidden_by(defined: exp.CTE, table: exp.Table) -> str | None:
    """Return the statement between a name that a WITH defines and its use, if it hides the name.

    CONVERT and the like run their query by itself, where such a name is that of a table.
    """
    node = table.parent
    while node is not None:
        statement = node.args["statement"] if isinstance(node, Reading) else None
        if isinstance(statement, _RUN_BEFORE) and not any(
            each is defined for each in node.find_all(exp.CTE)
        ):
            return type(statement).__name__.upper()
        node = node.parent
    return None
