"""Labels of all rows, and a training: ``python -m benchmarks.predict --rows 1000000``.

What is compared with is numpy that has the vectors in memory, which is the least that labels of so
many rows can take. The labels are counted in SQL, so that no time goes into fetching rows.
"""

from __future__ import annotations

from contextlib import closing

import numpy as np

from .collection import Collection, run
from .measure import compare

LABELS = 10
TRAINED_ROWS, TRAINED_LABELS = 50_000, 100
_COUNTED = "SELECT predict_result, count(*) FROM ({}) GROUP BY 1"


def times(made: Collection, runs: int) -> None:
    """Print a table of PREDICT over all rows, and one of BUILD MODEL over 50,000 of them."""
    texts = [f"a photo of thing {number}" for number in range(LABELS)]
    matrix = made.matrix()
    with closing(made.connect()) as connection:
        connection.execute("DROP TABLE IF EXISTS temp.marked")
        weights = np.stack([made.query(text) for text in texts])
        rows = "SELECT photo_id, m_clipen FROM photos"

        def predict(options: str = "") -> None:
            sql = f"PREDICT USING m OPTIONS (labels=?{options}) AS {rows}"
            connection.execute(_COUNTED.format(sql), (texts,)).fetchall()

        def numpy_alone() -> None:
            np.unique((matrix @ weights.T).argmax(axis=1), return_counts=True)

        compare(
            f"{LABELS} labels for {made.rows:,} rows",
            {
                "numpy, the vectors in memory": numpy_alone,
                "SELECT count(*) of the vectors": lambda: connection.execute(
                    "SELECT sum(length(m_clipen)) FROM photos"
                ).fetchall(),
                "PREDICT": predict,
                "PREDICT with score_col": lambda: predict(", score_col='s'"),
            },
            runs=runs,
        )
        count = min(made.rows, TRAINED_ROWS)
        connection.execute(
            "BUILD MODEL speed USING clipen OPTIONS (label_col='kind', overwrite=True) AS"
            f" SELECT m_clipen, album % 2 AS kind FROM photos WHERE photo_id <= {count}"
        )

        def build() -> None:
            connection.execute(
                "BUILD MODEL speed USING clipen OPTIONS (label_col='album', overwrite=True) AS"
                f" SELECT m_clipen, album FROM photos WHERE photo_id <= {count}"
            )

        # An album is no property of these vectors: labels that cannot be learnt take longest.
        compare(
            f"BUILD MODEL, {count:,} rows of 512 numbers and {TRAINED_LABELS} labels",
            {"labels that say nothing": build},
            runs=max(1, runs // 5),
        )
        connection.execute("DELETE MODEL speed")


if __name__ == "__main__":
    run(times)
