"""Several texts in one SEARCH, against one alone: ``python -m benchmarks.many_texts``.

What counts is the price of each added text, as a share of the time that one alone takes.
"""

from __future__ import annotations

from .collection import TEXT, Collection, run
from .measure import compare

_TEXTS = (TEXT, "a dog on a chair", "gloomy photos", "바다와 하늘")
_SEARCH = "SEARCH IMAGE texts=[{}] USING m AS SELECT * FROM photos"


def times(made: Collection, runs: int) -> None:
    """Print a table of 1, 2 and 4 texts, for the five nearest and for all rows."""
    connection = made.connect()

    def search(count: int, sql: str) -> None:
        texts = ", ".join(f"'{text}'" for text in _TEXTS[:count])
        connection.execute(sql.format(_SEARCH.format(texts))).fetchall()

    best = (
        "SELECT photo_id, m_clipen_similarity1 FROM ({}) ORDER BY m_clipen_similarity1 DESC LIMIT 5"
    )
    every = "SELECT * FROM ({})"
    for what, sql in (("the five nearest to the first text", best), ("all rows", every)):
        title = f"Texts in one SEARCH of {made.rows:,} rows, {what}"
        counts = {f"{n} {'text' if n == 1 else 'texts'}": n for n in (1, 2, 4)}
        medians = compare(
            title,
            {name: (lambda n=n, sql=sql: search(n, sql)) for name, n in counts.items()},
            runs=runs,
        )
        one, _, four = medians.values()
        print(f"\nEach added text: {(four - one) / 3 / one:.2f} of one alone")
    connection.close()


if __name__ == "__main__":
    run(times)
