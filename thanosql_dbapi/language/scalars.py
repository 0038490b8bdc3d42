"""SQLite's functions that give one value a row; what is not here may be an aggregate.

Sources: https://www.sqlite.org/lang_corefunc.html, https://www.sqlite.org/lang_mathfunc.html,
https://www.sqlite.org/lang_datefunc.html, https://www.sqlite.org/json1.html. ``max`` and ``min``
are aggregates with one argument.
"""

from __future__ import annotations

_WORDS = """
    abs char coalesce concat concat_ws format glob hex if ifnull iif instr length like likely
    lower ltrim max min nullif octet_length printf quote replace round rtrim sign soundex substr
    substring trim typeof unhex unicode unistr unlikely upper zeroblob cast
    acos acosh asin asinh atan atan2 atanh ceil ceiling cos cosh degrees exp floor ln log log10
    log2 mod pi pow power radians sin sinh sqrt tan tanh trunc
    date time datetime julianday unixepoch strftime timediff
    json jsonb json_array json_array_length json_extract jsonb_extract json_object json_patch
    json_quote json_type json_valid
    cosine_similarity embed_text embed_image
    vec_distance_cosine vec_distance_l1 vec_distance_l2 vec_length vec_to_json vec_f32
    vec_normalize
"""
SCALAR_FUNCTIONS = frozenset(_WORDS.upper().split())
