"""What CONVERT says of what it did: counts for programs, a sentence, failures as rows, warnings."""

from __future__ import annotations

import json
import shutil
import warnings
from contextlib import closing
from pathlib import Path

import pytest
from PIL import Image

import thanosql_dbapi as thanosql
from thanosql_dbapi import ConvertReport
from thanosql_dbapi.storybook import MODEL_FOLDER
from thanosql_dbapi.ui.cli import main

IN_PLACE = "CONVERT USING m OPTIONS (table_name='photos') AS SELECT * FROM photos"
FAILURES = "SELECT table_name, column_name, row_key, source FROM thanosql_failures ORDER BY row_key"


def reported(connection: thanosql.Connection, sql: str = IN_PLACE) -> ConvertReport:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", thanosql.MediaWarning)
        connection.execute(sql)
    assert isinstance(connection.report, ConvertReport)
    return connection.report


def test_a_convert_reports_each_row_once(connection: thanosql.Connection, workspace: Path) -> None:
    assert connection.report is None or connection.report.statement != "CONVERT"
    connection.execute("UPDATE photos SET image_path = NULL WHERE photo_id = '000'")
    shutil.copy(workspace / "images" / "green.png", workspace / "images" / "blue.png")
    (workspace / "images" / "black.png").write_bytes(b"no image")
    first = reported(connection)
    assert (first.statement, first.table, first.column, first.model) == (
        *("CONVERT", "photos"),
        *("m_clipen", "m"),
    )
    assert (first.converted + first.reused, first.failed, first.empty) == (4, 1, 1)
    assert (first.device, first.dtype) == ("cpu", "float32")
    connection.execute("UPDATE photos SET m_clipen = NULL WHERE photo_id = '005'")
    connection.commit()
    again = reported(connection)
    assert (again.converted, again.reused, again.unchanged) == (0, 1, 3)
    assert (again.failed, again.empty) == (1, 1)


def test_a_report_is_of_the_statement_that_succeeded(converted: thanosql.Connection) -> None:
    report = converted.report
    with pytest.raises(thanosql.OperationalError, match="no column"):
        converted.execute(
            "CONVERT USING m OPTIONS (table_name='photos', image_col='nope')"
            " AS SELECT * FROM photos"
        )
    assert converted.report is report


def test_every_failed_row_is_a_row_until_it_succeeds(
    connection: thanosql.Connection, workspace: Path
) -> None:
    for name in ("red", "green", "blue", "black", "white", "orange"):
        (workspace / "images" / f"{name}.png").write_bytes(b"no image")
    connection.execute("INSERT INTO photos (photo_id, image_path) VALUES ('6', x'00'), ('7', 'x')")
    assert reported(connection).failed == 8
    rows = connection.execute(FAILURES).fetchall()
    assert [row[:3] for row in rows] == [("photos", "m_clipen", n) for n in range(1, 9)]
    assert rows[0][3] == "'images/red.png'"
    reasons = connection.execute("SELECT reason, at FROM thanosql_failures").fetchall()
    assert all("image" in reason and at.endswith("Z") for reason, at in reasons)
    for name in ("red", "green"):
        Image.new("RGB", (9, 9), name).save(workspace / "images" / f"{name}.png")
    connection.execute("DELETE FROM photos WHERE photo_id = '7'")
    connection.commit()
    # Only the rows of the query are tried again.
    assert reported(connection, f"{IN_PLACE} WHERE photo_id < '002'").failed == 0
    assert [row[2] for row in connection.execute(FAILURES)] == [3, 4, 5, 6, 7]
    connection.execute("DROP TABLE photos")
    connection.execute("COPY other FROM 'photos.csv'")
    reported(connection, IN_PLACE.replace("photos", "other"))
    assert {row[0] for row in connection.execute(FAILURES)} == {"other"}


def test_failures_of_another_table(connection: thanosql.Connection, workspace: Path) -> None:
    (workspace / "images" / "red.png").unlink()
    into = "CONVERT USING m OPTIONS (table_name='new', if_exists='replace') AS SELECT * FROM photos"
    for _ in range(2):
        assert reported(connection, into).failed == 1
        assert connection.execute(FAILURES).fetchall() == [
            ("new", "m_clipen", None, "'images/red.png'")
        ]
    Image.new("RGB", (9, 9), "red").save(workspace / "images" / "red.png")
    reported(connection, into)
    assert connection.execute(FAILURES).fetchall() == []


def test_a_picture_that_is_away_is_a_failure_whose_vector_stays(
    converted: thanosql.Connection, workspace: Path
) -> None:
    (workspace / "images" / "red.png").rename(workspace / "away.png")
    assert reported(converted).failed == 1
    assert [row[2:] for row in converted.execute(FAILURES)] == [(1, "'images/red.png'")]
    (workspace / "away.png").rename(workspace / "images" / "red.png")
    assert reported(converted).unchanged == 6
    assert converted.execute(FAILURES).fetchall() == []


def test_where_warnings_are_errors_all_is_done_before(
    connection: thanosql.Connection, workspace: Path
) -> None:
    (workspace / "images" / "red.png").unlink()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(thanosql.MediaWarning, match="1 of 6 images"):
            connection.execute(IN_PLACE)
    assert connection.execute("SELECT count(m_clipen) FROM photos").fetchone() == (5,)
    assert len(connection.execute(FAILURES).fetchall()) == 1
    report = connection.report
    assert isinstance(report, ConvertReport)
    assert (report.converted, report.failed) == (5, 1)


def test_the_command_line_says_on_standard_error_what_was_done(
    connection: thanosql.Connection,
    workspace: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    connection.close()
    database = str(workspace / "photos.db")
    sql = IN_PLACE.replace("SELECT *", "SELECT photo_id, image_path")
    assert main([database, sql]) == 0
    said = capsys.readouterr()
    assert "CONVERT photos: 6 converted, on cpu (float32).\n" in said.err
    assert "converted" not in said.out
    assert main([database, sql]) == 0
    assert "CONVERT photos: 6 unchanged.\n" in capsys.readouterr().err
    assert main([database, "SELECT 1"]) == 0
    assert capsys.readouterr().err == ""


# -- paths that start elsewhere -----------------------------------------------------------------


@pytest.fixture
def beside(connection: thanosql.Connection, workspace: Path) -> thanosql.Connection:
    """Table ``photos`` of a CSV whose paths start at its own folder, ``album``."""
    (workspace / "album").mkdir()
    (workspace / "images").rename(workspace / "album" / "images")
    return connection


@pytest.mark.parametrize("folder", ["album", "album/", "./album", "{}/album"])
def test_base_dir_is_put_before_the_paths(
    beside: thanosql.Connection, workspace: Path, folder: str
) -> None:
    options = f"table_name='photos', base_dir='{folder.format(workspace)}'"
    sql = f"CONVERT USING m OPTIONS ({options}) AS SELECT * FROM photos"
    assert reported(beside, sql).converted == 6
    assert reported(beside, sql).unchanged == 6


def test_base_dir_leaves_absolute_paths_and_blobs(
    beside: thanosql.Connection, workspace: Path
) -> None:
    picture = workspace / "album" / "images" / "red.png"
    beside.execute("UPDATE photos SET image_path = ? WHERE rowid = 1", (str(picture),))
    beside.execute("UPDATE photos SET image_path = ? WHERE rowid = 2", (picture.read_bytes(),))
    sql = "CONVERT USING m OPTIONS (table_name='photos', base_dir='album') AS SELECT * FROM photos"
    assert reported(beside, sql).failed == 0


def test_a_base_dir_that_is_forgotten_costs_no_vectors(beside: thanosql.Connection) -> None:
    sql = "CONVERT USING m OPTIONS (table_name='photos', base_dir='album') AS SELECT * FROM photos"
    reported(beside, sql)
    assert reported(beside).failed == 6
    assert beside.execute("SELECT count(m_clipen) FROM photos").fetchone() == (6,)
    assert reported(beside, sql).unchanged == 6


def test_base_dir_leads_nowhere_outside(beside: thanosql.Connection, workspace: Path) -> None:
    (workspace.parent / "images").mkdir()
    Image.new("RGB", (9, 9)).save(workspace.parent / "images" / "red.png")
    sql = "CONVERT USING m OPTIONS (table_name='photos', base_dir='..') AS SELECT * FROM photos"
    assert reported(beside, sql).failed == 6


def test_base_dir_in_a_view_and_into_another_table(beside: thanosql.Connection) -> None:
    convert = "CONVERT USING m OPTIONS (base_dir='album'{}) AS SELECT * FROM photos"
    beside.execute(f"CREATE VIEW v AS {convert.format('')}")
    assert beside.execute("SELECT count(m_clipen) FROM v").fetchone() == (6,)
    beside.execute(convert.format(", table_name='new'"))
    assert beside.execute("SELECT count(m_clipen) FROM new").fetchone() == (6,)


def test_where_no_picture_is_there_the_message_names_base_dir(
    beside: thanosql.Connection,
) -> None:
    with pytest.warns(thanosql.MediaWarning, match=r"none of them is there.*base_dir='…'"):
        beside.execute(IN_PLACE)
    with pytest.warns(thanosql.MediaWarning, match=r"is base_dir='albums' the folder"):
        beside.execute(
            "CONVERT USING m OPTIONS (table_name='photos', base_dir='albums')"
            " AS SELECT * FROM photos"
        )
    beside.execute("UPDATE photos SET image_path = 'album/images/red.png' WHERE rowid = 1")
    with pytest.warns(thanosql.MediaWarning, match="could not be read") as warned:
        beside.execute(IN_PLACE)
    assert "base_dir" not in str(warned[0].message)


# -- what the model does not see ----------------------------------------------------------------


def test_texts_that_are_longer_than_the_model_reads_are_counted(
    connection: thanosql.Connection,
) -> None:
    connection.execute("CREATE TABLE notes (text)")
    notes = [("a black cat " * 100,), ("a red boat " * 100,), ("a boat",), (None,), (7,)]
    connection.executemany("INSERT INTO notes VALUES (?)", notes)
    sql = "CONVERT USING m OPTIONS (table_name='notes', convert_type='text') AS SELECT * FROM notes"
    with pytest.warns(thanosql.ModelWarning, match="2 of 5 texts are longer") as warned:
        connection.execute(sql)
    assert len(warned) == 1
    assert "black cat" in str(warned[0].message)


@pytest.fixture
def storybook(tmp_path: Path) -> thanosql.Connection:
    connection = thanosql.connect(tmp_path / "s.db", progress=False)
    connection.execute("GET THANOSQL DATASET storybook OPTIONS (rows=4)")
    connection.execute("GET THANOSQL MODEL storybook_clip")
    connection.execute("COPY drawn FROM 'thanosql-dataset/storybook/storybook.csv'")
    shutil.copytree(tmp_path / "thanosql-dataset" / "storybook", tmp_path / "copies")
    (tmp_path / "mine").mkdir()
    Image.new("RGB", (64, 48), "red").save(tmp_path / "mine" / "p.jpg")
    connection.commit()
    return connection


def convert(table: str) -> str:
    return f"CONVERT USING storybook_clip OPTIONS (table_name='{table}') AS SELECT * FROM {table}"


SEARCH = "SEARCH IMAGE {} USING storybook_clip AS SELECT * FROM {}"


def test_the_built_in_model_reads_korean(storybook: thanosql.Connection) -> None:
    storybook.execute(convert("drawn"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        storybook.execute(SEARCH.format("text='검은 고양이'", "drawn")).fetchall()
    storybook.close()


def test_a_built_in_model_of_an_earlier_release_is_told_from_todays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its copy in the workspace reads English only, though the catalog says more of today's."""
    earlier = tmp_path / "earlier"
    shutil.copytree(MODEL_FOLDER, earlier)
    tokenizer = earlier / "tokenizer_config.json"
    tokenizer.write_text(tokenizer.read_text("utf-8") + "\n", encoding="utf-8")
    monkeypatch.setattr("thanosql_dbapi.storybook.MODEL_FOLDER", earlier)
    connection = thanosql.connect(tmp_path / "old.db", progress=False)
    connection.execute("GET THANOSQL MODEL storybook_clip")
    monkeypatch.undo()
    ask = "SELECT embed_text('storybook_clip', ?)"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        connection.execute(ask, ("a black cat",)).fetchall()
    with pytest.warns(thanosql.ModelWarning, match="earlier release .* English only") as seen:
        connection.execute(ask, ("검은 고양이",)).fetchall()
    said = str(seen[0].message)
    assert "GET THANOSQL MODEL storybook_clip OPTIONS (overwrite=True)" in said
    connection.execute("GET THANOSQL MODEL storybook_clip OPTIONS (overwrite=True)")
    connection.close()
    with closing(thanosql.connect(tmp_path / "old.db")) as again, warnings.catch_warnings():
        warnings.simplefilter("error")
        again.execute(ask, ("검은 고양이",)).fetchall()


def test_drawings_are_searched_without_a_warning(storybook: thanosql.Connection) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        storybook.execute("COPY copies FROM 'copies/'")
        for table in ("drawn", "copies"):
            storybook.execute(convert(table))
            storybook.execute(SEARCH.format("text='a cat'", table))
            path = storybook.execute("SELECT image_path FROM copies").fetchone()[0]
            storybook.execute(SEARCH.format(f"image='{path}'", table))
    storybook.close()


def test_the_model_of_drawings_warns_once_of_other_pictures(
    storybook: thanosql.Connection, tmp_path: Path
) -> None:
    storybook.execute("COPY mine FROM 'mine/'")
    with pytest.warns(thanosql.ModelWarning, match=r"CONVERT.*knows drawings only.*p\.jpg"):
        storybook.execute(convert("mine"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        storybook.execute(SEARCH.format("text='a cat'", "mine"))
        storybook.execute(convert("mine"))
    storybook.close()
    for query in ("text='a cat'", "image='mine/p.jpg'"):
        with closing(thanosql.connect(tmp_path / "s.db", progress=False)) as again:
            search = SEARCH.format(query, "mine")
            with pytest.warns(thanosql.ModelWarning, match=r"SEARCH.*knows drawings only") as said:
                again.execute(search)
            assert len(said) == 1
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                again.execute(search)


# -- models that are damaged --------------------------------------------------------------------

DAMAGED = {
    "git lfs": (b"version https://git-lfs.github.com/spec/v1\nsize 605247071\n", "Git LFS pointer"),
    "html": (b"<!DOCTYPE html><html><body>Sign in</body></html>", "HTML page"),
    "empty": (b"", "it is empty"),
    "half": (None, "cut short"),
}


@pytest.mark.parametrize("kind", DAMAGED)
@pytest.mark.parametrize("name", ["model.safetensors", "pytorch_model.bin", "config.json"])
def test_damaged_files_of_a_model_are_told_apart(
    converted: thanosql.Connection, workspace: Path, kind: str, name: str
) -> None:
    file = workspace / "tiny_clip" / name
    content, expected = DAMAGED[kind]
    if kind == "half":
        if name != "model.safetensors":
            pytest.skip("only safetensors say how long they are")
        content = file.read_bytes()[: file.stat().st_size // 2]
    if name == "pytorch_model.bin":
        (workspace / "tiny_clip" / "model.safetensors").unlink()
    assert content is not None
    file.write_bytes(content)
    with pytest.raises(thanosql.ModelError, match=expected) as raised:
        converted.execute("UPLOAD MODEL m OPTIONS (overwrite=True) FROM 'tiny_clip'")
    assert name in str(raised.value)
    assert reported(converted).unchanged == 6


def test_a_folder_of_sentence_transformers_is_a_model(
    connection: thanosql.Connection, workspace: Path
) -> None:
    folder = workspace / "download"
    shutil.copytree(workspace / "tiny_clip", folder / "0_CLIPModel")
    (folder / "1_Other").mkdir()
    modules = [{"idx": 0, "name": "0", "path": "0_CLIPModel"}]
    (folder / "modules.json").write_text(json.dumps(modules))
    connection.execute("UPLOAD MODEL st FROM 'download'")
    found = "SELECT fingerprint FROM thanosql_models ORDER BY name"
    ours, theirs = connection.execute(found).fetchall()
    assert ours == theirs
