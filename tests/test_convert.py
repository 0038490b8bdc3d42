"""CONVERT: where the vectors go, what is embedded again, and what one bad image does."""

from __future__ import annotations

import sqlite3
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import thanosql

IN_PLACE = "CONVERT USING m OPTIONS (table_name='photos') AS SELECT * FROM photos"


def embedded_images(connection: thanosql.Connection, sql: str) -> int:
    """Run a CONVERT and count the images that it embeds, as its progress says."""
    done: list[int] = []
    path = connection.execute("PRAGMA database_list").fetchone()[2]
    connection.commit()
    other = thanosql.connect(path, progress=lambda count, total, what: done.append(count))
    other.execute(sql)
    other.close()
    return done[-1] if done else 0


def reference_vectors(folder: Path, paths: list[Path]) -> np.ndarray:
    """What transformers itself makes of images, unit length."""
    import torch
    import transformers
    from transformers import CLIPModel

    kind = getattr(transformers, "CLIPImageProcessorPil", None) or transformers.CLIPImageProcessor
    model = CLIPModel.from_pretrained(folder).eval()
    processor = kind.from_pretrained(folder)
    images = [Image.open(path).convert("RGB") for path in paths]
    with torch.no_grad():
        features = model.get_image_features(**processor(images=images, return_tensors="pt"))
    array = getattr(features, "pooler_output", features).numpy()
    return array / np.linalg.norm(array, axis=1, keepdims=True)


def test_in_place_adds_the_column_and_returns_the_rows(connection: thanosql.Connection) -> None:
    cursor = connection.execute(IN_PLACE)
    assert [column[0] for column in cursor.description] == [
        "photo_id",
        "image_path",
        "caption",
        "m_clipen",
    ]
    rows = cursor.fetchall()
    assert [row[0] for row in rows] == ["000", "001", "002", "003", "004", "005"]
    assert connection.execute("SELECT * FROM photos").fetchall()[0][3].shape == (24,)
    (declared,) = connection.execute(
        "SELECT type FROM pragma_table_info('photos') WHERE name = 'm_clipen'"
    ).fetchone()
    assert declared == "VECTOR(24)"
    assert not connection.in_transaction


def test_vectors_are_those_of_transformers(
    converted: thanosql.Connection, workspace: Path, clip_folder: Path
) -> None:
    rows = converted.execute("SELECT image_path, m_clipen FROM photos").fetchall()
    expected = reference_vectors(clip_folder, [workspace / path for path, _ in rows])
    np.testing.assert_allclose([vector for _, vector in rows], expected, atol=1e-5)


def is_srgb(path: Path) -> bool:
    with Image.open(path) as image:
        return "icc_profile" not in image.info


def test_vectors_of_real_photographs_are_those_of_transformers(
    photos: Path, clip_folder: Path, tmp_path: Path
) -> None:
    connection = thanosql.connect(
        tmp_path / "p.db",
        allowed_directories=[photos, clip_folder.parent],
        progress=False,
    )
    connection.execute("UPLOAD MODEL m FROM ?", (str(clip_folder),))
    connection.execute("COPY photos FROM ?", (str(photos),))
    rows = connection.execute(IN_PLACE).fetchall()
    assert len(rows) == 119
    # transformers ignores colour profiles, which are applied here.
    rows = [(path, vector) for path, vector in rows if is_srgb(Path(path))]
    assert len(rows) > 60
    expected = reference_vectors(clip_folder, [Path(path) for path, _ in rows])
    np.testing.assert_allclose([vector for _, vector in rows], expected, atol=1e-5)
    connection.close()


def test_only_the_selected_rows_are_filled_and_nothing_else_changes(
    connection: thanosql.Connection,
) -> None:
    connection.executescript(
        "CREATE UNIQUE INDEX by_id ON photos (photo_id);"
        "CREATE TABLE log (photo_id);"
        "CREATE TRIGGER watch AFTER UPDATE OF caption ON photos"
        " BEGIN INSERT INTO log VALUES (NEW.photo_id); END;"
    )
    before = connection.execute("SELECT photo_id, image_path, caption FROM photos").fetchall()
    rows = connection.execute(IN_PLACE + " AS p WHERE caption LIKE '%red%'").fetchall()
    assert [row[0] for row in rows] == ["000"]
    filled = "SELECT photo_id FROM photos WHERE m_clipen IS NOT NULL"
    assert connection.execute(filled).fetchall() == [("000",)]
    assert (
        connection.execute("SELECT photo_id, image_path, caption FROM photos").fetchall() == before
    )
    objects = "SELECT name FROM sqlite_master WHERE tbl_name = 'photos' ORDER BY name"
    names = [name for (name,) in connection.execute(objects)]
    # The log of changes has triggers of its own.
    assert [name for name in names if not name.startswith("thanosql_")] == [
        "by_id",
        "photos",
        "watch",
    ]
    assert connection.execute("SELECT * FROM log").fetchall() == []


def test_a_join_an_order_and_a_limit_say_which_rows(connection: thanosql.Connection) -> None:
    connection.execute('COPY albums FROM \'[{"id": "004"}, {"id": "001"}]\'')
    rows = connection.execute(
        "CONVERT USING m OPTIONS (table_name='photos') AS"
        " SELECT p.photo_id, p.image_path FROM albums JOIN photos AS p ON p.photo_id = albums.id"
        " ORDER BY photo_id DESC"
    ).fetchall()
    assert [row[0] for row in rows] == ["004", "001"]
    count = "SELECT count(m_clipen) FROM photos"
    assert connection.execute(count).fetchone() == (2,)
    connection.execute(IN_PLACE + " ORDER BY random() LIMIT 3")
    assert connection.execute(count).fetchone()[0] >= 3


def test_a_random_order_embeds_the_rows_it_returns(connection: thanosql.Connection) -> None:
    rows = connection.execute(
        "SELECT * FROM (CONVERT USING m AS SELECT * FROM photos ORDER BY random() LIMIT 3)"
    ).fetchall()
    assert len(rows) == 3
    assert all(isinstance(row[-1], np.ndarray) for row in rows)


def test_tables_without_rowid_and_with_a_column_called_rowid(
    connection: thanosql.Connection,
) -> None:
    connection.executescript(
        "CREATE TABLE w (a TEXT, b INT, image_path TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID;"
        "INSERT INTO w SELECT photo_id, 1, image_path FROM photos;"
        "CREATE TABLE r (rowid TEXT, image_path TEXT);"
        "INSERT INTO r SELECT 'same', image_path FROM photos;"
    )
    for table in ("w", "r"):
        sql = f"CONVERT USING m OPTIONS (table_name='{table}') AS SELECT * FROM {table}"
        assert len(connection.execute(sql).fetchall()) == 6
        distinct = f"SELECT count(DISTINCT m_clipen) FROM {table}"
        assert connection.execute(distinct).fetchone() == (6,)
        assert embedded_images(connection, sql) == 0


def test_again_embeds_only_what_is_missing_or_changed(
    converted: thanosql.Connection, workspace: Path
) -> None:
    assert embedded_images(converted, IN_PLACE) == 0
    first = converted.execute("SELECT m_clipen FROM photos ORDER BY photo_id").fetchall()
    Image.new("RGB", (64, 40), "purple").save(workspace / "images" / "red.png")
    converted.execute("UPDATE photos SET image_path = 'images/blue.png' WHERE photo_id = '001'")
    converted.execute("INSERT INTO photos (photo_id, image_path) VALUES ('9', 'images/red.png')")
    converted.execute("UPDATE photos SET m_clipen = NULL WHERE photo_id = '005'")
    assert embedded_images(converted, IN_PLACE) == 4
    after = converted.execute("SELECT m_clipen FROM photos ORDER BY photo_id").fetchall()
    same = [np.allclose(a[0], b[0], atol=1e-6) for a, b in zip(first, after, strict=False)]
    assert same == [False, False, True, True, True, True]
    np.testing.assert_allclose(after[1][0], after[2][0], atol=1e-6)


def test_finding_out_that_nothing_is_missing_reads_each_row_once(
    connection: thanosql.Connection,
) -> None:
    """Counted in SQLite's own steps: with a join by the wrong key they grow with the square."""
    connection.execute("CREATE TABLE texts AS SELECT caption AS text FROM photos")
    for _ in range(7):
        connection.execute("INSERT INTO texts SELECT text FROM texts")
    sql = "CONVERT USING m OPTIONS (table_name='texts', convert_type='text') AS SELECT * FROM texts"
    connection.execute(sql)
    connection.commit()
    hundreds: list[int] = []
    connection.set_progress_handler(lambda: hundreds.append(1), 100)
    assert len(connection.execute(sql).fetchall()) == 768
    assert len(hundreds) < 768


def test_images_that_are_blobs(connection: thanosql.Connection, workspace: Path) -> None:
    connection.execute("CREATE TABLE blobs (id INTEGER PRIMARY KEY, image BLOB)")
    contents = [path.read_bytes() for path in sorted((workspace / "images").iterdir())]
    connection.executemany("INSERT INTO blobs (image) VALUES (?)", [(c,) for c in contents * 4])
    sql = "CONVERT USING m OPTIONS (table_name='blobs', image_col='image') AS SELECT * FROM blobs"
    rows = connection.execute(sql).fetchall()
    assert [row[:2] for row in rows] == list(enumerate(contents * 4, 1))
    np.testing.assert_allclose(
        [row[2] for row in rows[:6]], [row[2] for row in rows[18:]], atol=1e-6
    )
    assert embedded_images(connection, sql) == 0


def test_another_model_under_the_same_name_embeds_anew(
    converted: thanosql.Connection, workspace: Path
) -> None:
    import torch
    from transformers import CLIPModel

    model = CLIPModel.from_pretrained(workspace / "tiny_clip")
    torch.nn.init.normal_(model.visual_projection.weight)
    model.save_pretrained(workspace / "tiny_clip")
    converted.execute("UPLOAD MODEL m OPTIONS (overwrite=True) FROM 'tiny_clip'")
    with pytest.raises(
        sqlite3.OperationalError, match="has changed since; CONVERT the table again"
    ):
        converted.execute("SEARCH IMAGE text='x' USING m AS SELECT * FROM photos")
    # Vectors of the old weights would not compare with the new ones in one column.
    with pytest.raises(sqlite3.OperationalError, match="3 rows of table 'photos' that the query"):
        converted.execute(IN_PLACE + " WHERE photo_id < '003'")
    count = "SELECT count(m_clipen) FROM photos"
    assert converted.execute(count).fetchone() == (6,)
    assert embedded_images(converted, IN_PLACE) == 6
    assert converted.execute(count).fetchone() == (6,)


def test_into_another_table(connection: thanosql.Connection) -> None:
    sql = (
        "CONVERT USING m OPTIONS (table_name='other'{}) AS SELECT photo_id, image_path FROM photos"
    )
    rows = connection.execute(sql.format("")).fetchall()
    assert [len(row) for row in rows] == [3] * 6
    columns = connection.execute("SELECT name, type FROM pragma_table_info('other')").fetchall()
    assert columns == [("photo_id", "TEXT"), ("image_path", "TEXT"), ("m_clipen", "VECTOR(24)")]
    assert "m_clipen" not in str(connection.execute("PRAGMA table_info(photos)").fetchall())
    with pytest.raises(sqlite3.OperationalError, match=r"'other' exists.*if_exists='replace'"):
        connection.execute(sql.format(""))
    connection.execute(sql.format(", if_exists='append'"))
    assert connection.execute("SELECT count(*), count(m_clipen) FROM other").fetchone() == (12, 12)
    connection.execute(sql.format(", overwrite=True"))
    assert connection.execute("SELECT count(*) FROM other").fetchone() == (6,)


def test_append_to_a_table_of_other_columns(connection: thanosql.Connection) -> None:
    connection.execute("CREATE TABLE other (photo_id)")
    with pytest.raises(sqlite3.OperationalError, match="no column 'image_path', 'm_clipen'"):
        connection.execute(
            "CONVERT USING m OPTIONS (table_name='other', if_exists='append')"
            " AS SELECT photo_id, image_path FROM photos"
        )
    assert connection.execute("SELECT count(*) FROM other").fetchone() == (0,)


def test_without_a_table_the_rows_are_returned_and_a_warning_says_so(
    connection: thanosql.Connection,
) -> None:
    with pytest.warns(thanosql.ConvertWarning, match="returned and not stored") as caught:
        rows = connection.execute("CONVERT USING m AS SELECT * FROM photos").fetchall()
    assert caught[0].filename == __file__
    assert isinstance(rows[0][-1], np.ndarray)
    assert connection.execute("LIST TABLE").fetchall() == [("photos", "table")]


def test_as_a_subquery_in_create_insert_and_union(connection: thanosql.Connection) -> None:
    convert = "CONVERT USING m AS SELECT photo_id, image_path FROM photos LIMIT 2"
    connection.execute(f"CREATE TABLE kept AS SELECT * FROM ({convert})")
    connection.execute(f"INSERT INTO kept SELECT * FROM ({convert})")
    kept = connection.execute("SELECT * FROM kept").fetchall()
    assert len(kept) == 4
    assert all(isinstance(row[2], np.ndarray) for row in kept)
    found = connection.execute("SEARCH IMAGE text='red' USING m AS SELECT * FROM kept").fetchall()
    assert all(-1 <= row[-1] <= 1 for row in found)
    count = f"SELECT count(*) FROM (SELECT 1, 2, 3 UNION ALL SELECT * FROM ({convert}))"
    assert connection.execute(count).fetchone() == (3,)


def test_in_a_view_it_embeds_when_it_runs(connection: thanosql.Connection) -> None:
    connection.execute("CREATE VIEW v AS SELECT * FROM (CONVERT USING m AS SELECT * FROM photos)")
    assert isinstance(connection.execute("SELECT * FROM v").fetchone()[-1], np.ndarray)
    with pytest.raises(thanosql.StatementError, match="CREATE VIEW cannot store into table_name"):
        connection.execute(
            "CREATE VIEW w AS SELECT * FROM"
            " (CONVERT USING m OPTIONS (table_name='x') AS SELECT * FROM photos)"
        )


def test_texts(connection: thanosql.Connection) -> None:
    connection.execute(
        "CONVERT USING m OPTIONS (convert_type='text', text_col='caption', table_name='photos',"
        " result_col='words') AS SELECT * FROM photos"
    )
    rows = connection.execute(
        "SEARCH TEXT text='a blue picture' USING m OPTIONS (emb_col='words', top_k=1)"
        " AS SELECT * FROM photos"
    ).fetchall()
    assert rows[0][2] == "a blue picture"
    assert rows[0][-1] == pytest.approx(1, abs=1e-5)


def test_blobs_are_images_too(connection: thanosql.Connection, workspace: Path) -> None:
    connection.execute("CREATE TABLE blobs (picture BLOB)")
    content = (workspace / "images" / "red.png").read_bytes()
    connection.execute("INSERT INTO blobs VALUES (?)", (content,))
    connection.execute(
        "CONVERT USING m OPTIONS (image_col='picture', table_name='blobs') AS SELECT * FROM blobs"
    )
    connection.commit()
    found = connection.execute(
        "SEARCH IMAGE image='images/red.png' USING m AS SELECT * FROM blobs"
    ).fetchone()
    assert found[-1] == pytest.approx(1, abs=1e-5)


def test_unreadable_images_are_null_and_counted(
    connection: thanosql.Connection, workspace: Path
) -> None:
    (workspace / "images" / "red.png").write_bytes(b"this is no image")
    (workspace / "images" / "blue.png").unlink()
    connection.execute("UPDATE photos SET image_path = '../secret.png' WHERE photo_id = '003'")
    connection.execute("UPDATE photos SET image_path = NULL WHERE photo_id = '004'")
    connection.commit()
    with pytest.warns(thanosql.MediaWarning, match="3 of 6 images could not be read") as caught:
        connection.execute(IN_PLACE)
    text = str(caught[0].message)
    assert caught[0].filename == __file__
    for part in ("'images/red.png'", "'images/blue.png'", "outside the workspace", "is NULL"):
        assert part in text
    empty = "SELECT photo_id FROM photos WHERE m_clipen IS NULL ORDER BY 1"
    assert connection.execute(empty).fetchall() == [("000",), ("002",), ("003",), ("004",)]
    # They are tried again, not taken for done.
    Image.new("RGB", (9, 9), "blue").save(workspace / "images" / "blue.png")
    with pytest.warns(thanosql.MediaWarning, match="2 of 4 images"):
        connection.execute(IN_PLACE)
    assert connection.execute(empty).fetchall() == [("000",), ("003",), ("004",)]


@pytest.mark.parametrize("target", ["photos", "other"])
def test_on_error_fail_stops_and_leaves_nothing(
    connection: thanosql.Connection, workspace: Path, target: str
) -> None:
    (workspace / "images" / "orange.png").write_bytes(b"")
    schema = connection.execute("SELECT sql FROM sqlite_master ORDER BY 1").fetchall()
    with pytest.raises(thanosql.MediaError, match=r"images/orange\.png"):
        connection.execute(
            f"CONVERT USING m OPTIONS (table_name='{target}', on_error='fail', batch_size=2)"
            " AS SELECT * FROM photos"
        )
    assert connection.execute("SELECT sql FROM sqlite_master ORDER BY 1").fetchall() == schema
    assert not connection.in_transaction


def test_inside_a_transaction_it_goes_with_it(connection: thanosql.Connection) -> None:
    connection.execute("BEGIN")
    connection.execute("UPDATE photos SET caption = 'changed' WHERE photo_id = '000'")
    connection.execute(IN_PLACE)
    assert connection.in_transaction
    assert connection.execute("SELECT count(m_clipen) FROM photos").fetchone() == (6,)
    connection.rollback()
    assert "m_clipen" not in str(connection.execute("PRAGMA table_info(photos)").fetchall())
    connection.execute(IN_PLACE)
    assert connection.execute("SELECT count(m_clipen) FROM photos").fetchone() == (6,)


@pytest.mark.parametrize(("seconds", "between"), [(0.0, [2, 4]), (60.0, [0, 0])])
def test_what_is_done_is_kept(
    connection: thanosql.Connection,
    workspace: Path,
    monkeypatch: pytest.MonkeyPatch,
    seconds: float,
    between: list[int],
) -> None:
    monkeypatch.setattr("thanosql_dbapi.statements.grouping.SECONDS", seconds)
    seen: list[int] = []
    reader = sqlite3.connect(workspace / "photos.db")

    def watch(done: int, total: int | None, what: str) -> None:
        seen.append(reader.execute("SELECT count(m_clipen) FROM photos").fetchone()[0])
        reader.execute("INSERT INTO photos (photo_id) VALUES ('by another writer')")
        reader.commit()
        if done == 4:
            raise KeyboardInterrupt("enough")

    writer = thanosql.connect(workspace / "photos.db", progress=watch)
    with pytest.raises(KeyboardInterrupt, match="enough"):
        writer.execute(
            "CONVERT USING m OPTIONS (table_name='photos', batch_size=2) AS SELECT * FROM photos"
        )
    assert seen == between
    assert not writer.in_transaction
    assert reader.execute("SELECT count(m_clipen) FROM photos").fetchone() == (4,)
    writer.close()
    reader.close()
    rest = "CONVERT USING m OPTIONS (table_name='photos') AS SELECT * FROM photos WHERE image_path"
    assert embedded_images(connection, rest + " IS NOT NULL") == 2


def test_a_cursor_in_the_middle_of_its_rows_is_no_hindrance(
    connection: thanosql.Connection,
) -> None:
    reading = connection.execute("SELECT photo_id FROM photos")
    assert reading.fetchone() == ("000",)
    connection.execute(IN_PLACE)
    assert len(reading.fetchall()) == 5


def test_temporary_tables_do_not_pile_up(converted: thanosql.Connection) -> None:
    for _ in range(3):
        converted.execute(IN_PLACE).fetchall()
    converted.execute("LIST MODEL").fetchall()
    temporary = "SELECT count(*) FROM sqlite_temp_master WHERE name LIKE 'thanosql_%'"
    assert converted.execute(temporary).fetchone() == (0,)


def test_the_result_of_a_convert_is_read_while_the_next_one_runs(
    converted: thanosql.Connection,
) -> None:
    first = converted.execute(IN_PLACE)
    assert first.fetchone()[0] == "000"
    assert len(converted.execute(IN_PLACE).fetchall()) == 6
    assert len(first.fetchall()) == 5


@pytest.mark.parametrize(
    ("sql", "kind", "message"),
    [
        ("USING nope AS SELECT * FROM photos", thanosql.ModelError, "no model 'nope'.*it has m"),
        (
            "USING m OPTIONS (table_name='photos') AS SELECT photo_id FROM photos",
            thanosql.OperationalError,
            r"no column 'image_path' \(it has photo_id\).*OPTIONS \(image_col='…'\)",
        ),
        (
            "USING m OPTIONS (table_name='photos', batch_size=0) AS SELECT * FROM photos",
            thanosql.StatementError,
            "option 'batch_size' must be a whole number of at least 1, got 0",
        ),
        (
            "USING m OPTIONS (table_nmae='photos') AS SELECT * FROM photos",
            thanosql.StatementError,
            "unknown option 'table_nmae'.*'table_name'",
        ),
        (
            "USING m OPTIONS (convert_type='sound') AS SELECT * FROM photos",
            thanosql.StatementError,
            "'convert_type' must be 'image', 'text' or 'video', got 'sound'",
        ),
        (
            "USING m OPTIONS (table_name='photos', result_col='caption') AS SELECT * FROM photos",
            thanosql.OperationalError,
            "column 'caption' of table 'photos' exists and holds data that is no vector",
        ),
        (
            "USING m OPTIONS (table_name='photos') AS SELECT DISTINCT * FROM photos",
            thanosql.NotSupportedError,
            "cannot be told which of its rows.*nothing was changed",
        ),
        (
            "USING m OPTIONS (table_name='v') AS SELECT * FROM v",
            thanosql.OperationalError,
            "table_name 'v' is a view",
        ),
        ("USING m AS SELECT * FROM missing", thanosql.OperationalError, "no such table: missing"),
    ],
)
def test_bad_input(
    connection: thanosql.Connection, sql: str, kind: type[Exception], message: str
) -> None:
    connection.execute("CREATE VIEW v AS SELECT * FROM photos")
    schema = connection.execute("SELECT sql FROM sqlite_master ORDER BY 1").fetchall()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(kind, match=message):
            connection.execute(f"CONVERT {sql}")
    assert connection.execute("SELECT sql FROM sqlite_master ORDER BY 1").fetchall() == schema


def test_a_with_around_it_is_not_passed_by(connection: thanosql.Connection) -> None:
    with pytest.raises(thanosql.NotSupportedError, match="put the WITH inside") as caught:
        connection.execute(
            "WITH photos AS (SELECT * FROM main.photos WHERE photo_id = '000')"
            " SELECT * FROM (CONVERT USING m AS SELECT * FROM photos)"
        )
    assert str(caught.value) == (
        "CONVERT: its query reads 'photos', which the WITH before it defines; put the WITH inside:"
        " CONVERT USING m AS WITH photos AS (…) SELECT …; nothing was changed"
    )
    rows = connection.execute(
        "SELECT photo_id FROM (CONVERT USING m AS WITH photos AS"
        " (SELECT * FROM main.photos WHERE photo_id = '000') SELECT * FROM photos)"
    )
    assert rows.fetchall() == [("000",)]


def test_explain_embeds_nothing(connection: thanosql.Connection) -> None:
    sql = "SELECT * FROM (CONVERT USING m AS SELECT * FROM photos)"
    plan = connection.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()
    assert any("photos" in row[-1] for row in plan)
    named = "SELECT count(*) FROM sqlite_master WHERE name = 'thanosql_vectors'"
    assert connection.execute(named).fetchone() == (0,)


def test_a_picture_that_is_away_keeps_its_vector(
    converted: thanosql.Connection, workspace: Path
) -> None:
    before = converted.execute("SELECT photo_id, m_clipen FROM photos").fetchall()
    (workspace / "images").rename(workspace / "away")
    converted.execute("UPDATE photos SET image_path = 'images/none.png' WHERE photo_id = '005'")
    with pytest.warns(thanosql.MediaWarning) as warned:
        converted.execute(IN_PLACE)
    texts = sorted(str(each.message) for each in warned)
    assert texts[0].startswith(
        "CONVERT USING m: 1 of 1 images could not be read, their 'm_clipen' is NULL:"
    )
    assert texts[1].startswith(
        "CONVERT USING m: 5 images are not there any more; their 'm_clipen' of before stays:"
        " 'images/red.png', "
    )
    after = converted.execute("SELECT photo_id, m_clipen FROM photos").fetchall()
    # The last row names another picture now, which is not there: its vector would be wrong.
    assert [row[0] for row in after if row[1] is None] == ["005"]
    for (_, old), (_, new) in zip(before[:5], after[:5], strict=True):
        np.testing.assert_array_equal(old, new)
    (workspace / "away").rename(workspace / "images")
    converted.execute("UPDATE photos SET image_path = 'images/orange.png' WHERE photo_id = '005'")
    converted.execute(IN_PLACE)
    missing = "SELECT count(*) FROM photos WHERE m_clipen IS NULL"
    assert converted.execute(missing).fetchone() == (0,)
