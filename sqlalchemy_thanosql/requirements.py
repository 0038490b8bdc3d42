"""What SQLAlchemy's suite for third-party dialects may ask of this dialect.

https://github.com/sqlalchemy/sqlalchemy/blob/main/README.dialects.rst. The suite's own defaults
are for a database that can little; the names below are what SQLite 3.35 and newer can, and
cannot, besides. They are the same for the built-in sqlite dialect, so both run the same tests.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.testing import exclusions
from sqlalchemy.testing.requirements import SuiteRequirements

CAN = [
    "autocommit",
    "boolean_col_expressions",
    "check_constraint_reflection",
    "computed_columns",
    "computed_columns_reflect_persisted",
    "computed_columns_stored",
    "computed_columns_virtual",
    "create_table_as",
    "create_temp_table_as",
    "ctes",
    "ctes_with_values",
    "date_historic",
    "datetime_historic",
    "datetime_literals",
    "dbapi_lastrowid",
    "emulated_lastrowid",
    "emulated_lastrowid_even_with_sequences",
    "except_",
    "expression_server_defaults",
    "fetch_expression",
    "fetch_offset_with_options",
    "fk_constraint_option_reflection_ondelete_noaction",
    "fk_constraint_option_reflection_ondelete_restrict",
    "fk_constraint_option_reflection_onupdate_restrict",
    "float_or_double_precision_behaves_generically",
    "foreign_key_constraint_name_reflection",
    "foreign_key_constraint_option_reflection_ondelete",
    "foreign_key_constraint_option_reflection_onupdate",
    "has_temp_table",
    "index_ddl_if_exists",
    "indexes_check_column_order",
    "indexes_with_expressions",
    "infinity_floats",
    "inline_check_constraint_reflection",
    "intersect",
    "isolation_level",
    "json_array_indexes",
    "json_type",
    "legacy_unconditional_json_extract",
    "mod_operator_as_percent_sign",
    "non_updating_cascade",
    "nullsordering",
    "nvarchar_types",
    "order_by_collation",
    "order_by_label_with_expression",
    "percent_schema_names",
    "precision_numerics_enotation_small",
    "precision_numerics_retains_significant_digits",
    "reflect_table_options",
    "reflects_pk_names",
    "regexp_match",
    "repeated_column_foreign_keys",
    "repeated_remote_col_foreign_keys",
    "schemas",
    "server_defaults",
    "skip_autocommit_rollback",
    "supports_bitwise_and",
    "supports_bitwise_not",
    "supports_bitwise_or",
    "supports_bitwise_shift",
    "supports_bitwise_xor",
    "table_ddl_if_exists",
    "temp_table_names",
    "temporary_views",
    "tuple_in",
    "tuple_in_w_empty",
    "unicode_ddl",
    "update_from",
    "view_column_reflection",
    "view_reflection",
    "views",
    "window_functions",
    "window_range",
    "window_range_numeric",
]
"""Requirements that SQLite fulfils and that the suite takes for closed."""

CANNOT = [
    "foreign_keys",
    "implicitly_named_constraints",
    "independent_connections",
    "independent_readonly_connections",
    "json_index_supplementary_unicode_element",
    "nested_aggregates",
    "numeric_received_as_decimal_untyped",
    "on_update_cascade",
    "on_update_or_deferrable_fks",
    "parens_in_union_contained_select_w_limit_offset",
    "parens_in_union_contained_select_wo_limit_offset",
    "schema_create_delete",
]
"""Requirements that SQLite in memory, foreign keys off, does not fulfil."""


class Requirements(SuiteRequirements):  # type: ignore[no-untyped-call,unused-ignore]
    """The suite's requirements, answered for SQLite."""

    def get_isolation_levels(self, config: Any) -> dict[str, Any]:
        """Return the isolation levels and the default."""
        return {
            "default": "SERIALIZABLE",
            "supported": list(config.db.dialect._isolation_lookup),
        }

    def get_order_by_collation(self, config: Any) -> str:
        """Return a collation that ORDER BY takes."""
        return "NOCASE"


def _answer(rule: Any) -> property:
    return property(lambda self: rule())


for _name in CAN:
    setattr(Requirements, _name, _answer(exclusions.open))
for _name in CANNOT:
    setattr(Requirements, _name, _answer(exclusions.closed))
