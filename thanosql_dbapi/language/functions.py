"""SQLite's functions by what a search for the best rows may rely on.

A SELECT is asked twice for its best rows, over candidates: once for their similarities, once for
its result. Both must see the same rows, so each function in it must give one value a row and the
same value each time. Whatever is not listed here may be an aggregate, or a program's own function
with a memory.

Sources: https://www.sqlite.org/lang_corefunc.html, https://www.sqlite.org/lang_mathfunc.html,
https://www.sqlite.org/lang_datefunc.html, https://www.sqlite.org/json1.html,
https://www.sqlite.org/lang_aggfunc.html. ``max`` and ``min`` are aggregates with one argument.
"""

from __future__ import annotations

_SCALARS = """
    abs char coalesce concat concat_ws format glob hex if ifnull iif instr length like likely
    lower ltrim max min nullif octet_length printf quote replace round rtrim sign soundex substr
    substring trim typeof unhex unicode unistr unlikely upper zeroblob cast
    acos acosh asin asinh atan atan2 atanh ceil ceiling cos cosh degrees exp floor ln log log10
    log2 mod pi pow power radians sin sinh sqrt tan tanh trunc
    json jsonb json_array json_array_length json_extract jsonb_extract json_object json_patch
    json_quote json_type json_valid
    cosine_similarity embed_text embed_image
    vec_distance_cosine vec_distance_l1 vec_distance_l2 vec_length vec_to_json vec_f32
    vec_normalize
"""
DATE_FUNCTIONS = frozenset(
    ["DATE", "TIME", "DATETIME", "JULIANDAY", "UNIXEPOCH", "STRFTIME", "TIMEDIFF"]
)
"""One value a row; the same each time unless they are asked what time it is."""

SCALAR_FUNCTIONS = frozenset(_SCALARS.upper().split()) | DATE_FUNCTIONS
"""One value a row, the same each time."""

STEADY_AGGREGATES = frozenset(
    ["AVG", "COUNT", "MAX", "MIN", "SUM", "TOTAL", "JSON_EACH", "JSON_TREE"]
)
"""The same value each time for the same rows in any order."""

CLOCK_WORDS = frozenset({"CURRENT_DATE", "CURRENT_TIME", "CURRENT_TIMESTAMP"})
OWN_OPERATORS = frozenset({"MATCH", "REGEXP"})
"""Operators that call a function of the program."""
