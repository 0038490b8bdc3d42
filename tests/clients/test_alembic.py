"""Alembic: real migrations, with its own commands, over converted tables."""

from __future__ import annotations

import asyncio
import logging
import re
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import CheckConstraint, Column, Integer, MetaData, Table, Text, inspect, text

import thanosql_dbapi

alembic = pytest.importorskip("alembic", reason="the extra `clients` is not installed")

from alembic import command  # noqa: E402
from alembic.config import Config  # noqa: E402
from alembic.migration import MigrationContext  # noqa: E402
from alembic.operations import Operations  # noqa: E402
from alembic.runtime import plugins  # noqa: E402
from alembic.util import CommandError  # noqa: E402

from sqlalchemy_thanosql import Vector, migrations  # noqa: E402

NAME = "alembic.autogenerate.thanosql"

if NAME not in plugins._all_plugins:  # where the package is not installed, but on the path
    plugins.Plugin.setup_plugin_from_module(migrations, NAME)

SETTING = (
    "CREATE TABLE log (what)",
    """CREATE TRIGGER noted AFTER INSERT ON photos
    BEGIN INSERT INTO log VALUES ('added ' || new.photo_id); END""",
)

OWN = [f"thanosql_watch_1_{kind}" for kind in ("delete", "insert", "move", "update")]

READERS = (
    """CREATE VIEW cats AS SELECT image_path, similarity FROM (
    SEARCH IMAGE text='a cat' USING m OPTIONS (result_col='similarity') AS SELECT * FROM photos)""",
    "CREATE VIEW best AS SELECT * FROM cats ORDER BY similarity DESC LIMIT 1",
    "CREATE TRIGGER tidy AFTER DELETE ON log BEGIN DELETE FROM photos WHERE photo_id = 'x'; END",
)

SEARCH = "SEARCH IMAGE image='images/black.png' USING m OPTIONS (top_k=1) AS SELECT * FROM photos"

HALF = """\
    op.execute('CREATE TABLE half (a)')
    op.execute('INSERT INTO missing VALUES (1)')
"""

ENVIRONMENT = """
from alembic import context

options = context.config.attributes
with options["engine"].connect() as connection:
    context.configure(
        connection=connection, target_metadata=options["metadata"], render_as_batch=True
    )
    with context.begin_transaction():
        context.run_migrations()
"""


def models(*more: Column, without: str | None = None) -> MetaData:
    """The table ``photos`` as a program declares it."""
    metadata = MetaData()
    columns = [
        Column("photo_id", Text),
        Column("image_path", Text),
        Column("caption", Text),
        *more,
    ]
    Table("photos", metadata, *(each for each in columns if each.name != without))
    return metadata


@pytest.fixture
def configure(photo_engine, tmp_path):
    """Return the configuration of a project whose models are given."""
    folder = tmp_path / "migrations"
    command.init(Config(str(tmp_path / "alembic.ini")), str(folder), template="generic")
    (folder / "env.py").write_text(ENVIRONMENT)

    def configure(metadata: MetaData) -> Config:
        config = Config()
        config.set_main_option("script_location", str(folder))
        config.set_main_option("path_separator", "os")
        config.attributes.update(engine=photo_engine, metadata=metadata)
        return config

    # Alembic's template for a project sets up logging; ours has none.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    return configure


@pytest.fixture
def noted(photo_engine):
    """A connection, and a trigger of the user's beside the driver's own."""
    with photo_engine.connect() as connection:
        for statement in SETTING:
            connection.execute(text(statement))
        connection.commit()
        yield connection


def batch(connection, **options):
    operations = Operations(MigrationContext.configure(connection))
    return operations.batch_alter_table("photos", recreate="always", **options)


def names(connection, kind: str) -> list[str]:
    found = connection.execute(
        text("SELECT name FROM sqlite_master WHERE type = :kind ORDER BY name"), {"kind": kind}
    )
    return [name for name in found.scalars() if not name.startswith("thanosql_m")]


def test_alembic_loads_the_plugin():
    from importlib.metadata import entry_points

    found = {each.name: each.value for each in entry_points(group="alembic.plugins")}
    assert found.get(NAME, migrations.__name__) == migrations.__name__


@pytest.mark.parametrize(
    "metadata",
    [
        pytest.param(models(), id="not mentioned"),
        pytest.param(models(Column("m_clipen", Vector(24))), id="declared"),
        pytest.param(models(Column("m_clipen", Vector())), id="of any length"),
    ],
)
def test_autogenerate_proposes_nothing_for_converted_tables(configure, metadata):
    config = configure(metadata)
    command.stamp(config, "head")
    command.check(config)  # raises where it has something to propose
    script = command.revision(config, message="nothing", autogenerate=True)
    assert "def upgrade() -> None:" in (written := Path(script.path).read_text())
    assert written.count("    pass\n") == 2


def test_autogenerate_still_proposes_what_is_the_users(configure):
    config = configure(models(without="caption"))
    with pytest.raises(CommandError, match="'caption'"):
        command.check(config)
    config = configure(models(Column("m_clipen", Vector(512))))
    with pytest.raises(CommandError, match=r"Vector\(dim=512\)"):
        command.check(config)


def test_a_new_vector_column_is_written_with_its_import_and_runs(configure, photo_engine):
    config = configure(models(Column("other", Vector(512))))
    script = command.revision(config, message="vectors", autogenerate=True)
    written = Path(script.path).read_text()
    assert "import sqlalchemy_thanosql\n" in written
    assert "sa.Column('other', sqlalchemy_thanosql.Vector(dim=512)" in written
    assert "drop_column('m_clipen')" not in written
    command.upgrade(config, "head")
    command.check(config)
    types = {each["name"]: each["type"] for each in inspect(photo_engine).get_columns("photos")}
    assert (types["other"].dim, types["m_clipen"].dim) == (512, 24)
    command.downgrade(config, "base")
    assert "other" not in {each["name"] for each in inspect(photo_engine).get_columns("photos")}


def test_a_migration_that_fails_changes_nothing(configure, photo_engine):
    config = configure(models())
    script = command.revision(config, message="half")
    written = Path(script.path).read_text().replace("    pass\n", HALF, 1)
    Path(script.path).write_text(written)
    with pytest.raises(sqlalchemy.exc.OperationalError, match="no such table: missing"):
        command.upgrade(config, "head")
    assert inspect(photo_engine).get_table_names() == ["photos"]


def test_a_batch_keeps_the_vectors_and_all_triggers(noted):
    before = noted.execute(text("SELECT * FROM photos ORDER BY photo_id")).all()
    with batch(noted) as photos:
        photos.add_column(Column("stars", Integer))
        photos.create_index("by_caption", ["caption"])
    noted.commit()
    after = noted.execute(text("SELECT * FROM photos ORDER BY photo_id")).all()
    assert [row.m_clipen.tolist() for row in after] == [row.m_clipen.tolist() for row in before]
    assert [column["name"] for column in inspect(noted).get_columns("photos")] == [
        "photo_id",
        "image_path",
        "caption",
        "m_clipen",
        "stars",
    ]
    assert names(noted, "trigger") == ["noted", *OWN]
    noted.execute(text("INSERT INTO photos (photo_id) VALUES ('new')"))
    assert noted.execute(text("SELECT what FROM log")).scalars().all() == ["added new"]
    assert noted.execute(text(SEARCH)).one().image_path == "images/black.png"


def test_a_search_sees_that_a_batch_has_changed_the_row_ids(noted):
    noted.execute(text("DELETE FROM photos WHERE image_path = 'images/red.png'"))
    noted.commit()
    nearest = text(
        "SELECT image_path FROM (SEARCH IMAGE image='images/black.png' USING m AS"
        " SELECT * FROM photos) ORDER BY m_clipen_similarity1 DESC LIMIT 2"
    )
    before = noted.execute(nearest).scalars().all()
    rows = noted.execute(text("SELECT rowid, image_path FROM photos")).all()
    log = text("SELECT token FROM thanosql_changes")
    marks = set(noted.execute(log).scalars())
    with batch(noted) as photos:
        photos.add_column(Column("stars", Integer))
    noted.execute(text("UPDATE photos SET stars = 1"))
    noted.commit()
    assert noted.execute(text("SELECT rowid, image_path FROM photos")).all() != rows
    # No mark that a reader may have is in the log any more.
    assert marks.isdisjoint(noted.execute(log).scalars())
    assert noted.execute(nearest).scalars().all() == before
    noted.execute(text("DELETE FROM photos WHERE image_path = 'images/black.png'"))
    assert noted.execute(nearest).scalars().first() != before[0]


def test_a_batch_keeps_views_and_other_tables_triggers(noted):
    for statement in READERS:
        noted.execute(text(statement))
    noted.commit()
    with batch(noted) as photos:
        photos.drop_column("caption")
    noted.commit()
    assert names(noted, "view") == ["best", "cats"]
    assert "tidy" in names(noted, "trigger")
    assert len(noted.execute(text("SELECT * FROM best")).all()) == 1
    noted.execute(text("DELETE FROM log"))
    assert noted.execute(text("PRAGMA legacy_alter_table")).scalar() == 0


@pytest.mark.parametrize(
    ("statement", "user"),
    [
        ("CREATE VIEW words AS SELECT caption FROM photos", "view 'words'"),
        (
            "CREATE TRIGGER copied AFTER INSERT ON log BEGIN UPDATE photos SET caption = ''; END",
            "a trigger of 'log'",
        ),
    ],
)
def test_a_batch_that_breaks_what_reads_the_table_is_refused(noted, statement, user):
    noted.execute(text(statement))
    noted.commit()
    want = f"batch migration of 'photos': {user} would no longer work: no such column: caption"
    with pytest.raises(CommandError, match=re.escape(want)), batch(noted) as photos:
        photos.drop_column("caption")
    noted.rollback()
    assert "caption" in {each["name"] for each in inspect(noted).get_columns("photos")}
    assert set(names(noted, "trigger")) >= {"noted", *OWN}


def test_a_view_that_was_broken_before_is_no_hindrance(noted):
    noted.execute(text("CREATE VIEW broken AS SELECT * FROM missing"))
    noted.commit()
    with batch(noted) as photos:
        photos.add_column(Column("stars", Integer))
    assert names(noted, "view") == ["broken"]


def test_a_trigger_that_no_longer_compiles_is_left_out_with_a_warning(noted):
    noted.execute(
        text(
            "CREATE TRIGGER worded AFTER UPDATE ON photos"
            " BEGIN INSERT INTO log VALUES (new.caption); END"
        )
    )
    noted.commit()
    want = (
        "batch migration of 'photos': trigger 'worded' is not kept, since it no longer works:"
        " no such column: new.caption"
    )
    with pytest.warns(UserWarning, match=re.escape(want)), batch(noted) as photos:
        photos.drop_column("caption")
    assert names(noted, "trigger") == ["noted", *OWN]
    noted.execute(text("UPDATE photos SET image_path = 'x'"))


def test_the_drivers_own_triggers_go_with_their_column(noted):
    with batch(noted) as photos:
        photos.drop_column("m_clipen")
    assert names(noted, "trigger") == ["noted"]


def test_a_table_may_still_be_renamed(noted):
    operations = Operations(MigrationContext.configure(noted))
    operations.rename_table("log", "diary")
    assert (
        'INSERT INTO "diary"'
        in noted.execute(text("SELECT sql FROM sqlite_master WHERE name = 'noted'")).scalar()
    )


def test_a_batch_that_has_failed_leaves_later_renaming_alone(noted):
    operations = Operations(MigrationContext.configure(noted))
    options = {"recreate": "always", "table_args": [CheckConstraint("photo_id = 'none has it'")]}
    with (
        pytest.raises(sqlalchemy.exc.IntegrityError, match="CHECK constraint failed"),
        operations.batch_alter_table("photos", **options) as photos,
    ):
        photos.add_column(Column("stars", Integer))
    operations.rename_table("photos", "pictures")
    operations.rename_table("pictures", "photos")
    assert names(noted, "trigger") == ["noted", *OWN]


def test_an_engine_of_another_driver_is_left_as_it_was():
    engine = sqlalchemy.create_engine("sqlite://")
    with engine.connect() as connection:
        connection.execute(text("CREATE TABLE photos (a INTEGER)"))
        connection.execute(text("CREATE TRIGGER gone AFTER DELETE ON photos BEGIN SELECT 1; END"))
        with batch(connection) as photos:
            photos.add_column(Column("b", Integer))
        assert names(connection, "trigger") == []
    engine.dispose()


def test_sql_scripts_are_written_as_before(configure, capsys):
    config = configure(models())
    connection = thanosql_dbapi.connect(":memory:")
    context = MigrationContext.configure(
        dialect=config.attributes["engine"].dialect, opts={"as_sql": True}
    )
    with Operations(context).batch_alter_table("photos") as photos:
        photos.add_column(Column("stars", Integer))
    assert "ALTER TABLE photos ADD COLUMN stars INTEGER;" in capsys.readouterr().out
    connection.close()


def test_migrations_over_an_async_engine(noted, photo_engine):
    for package in ("aiosqlite", "greenlet"):
        pytest.importorskip(package, reason="the extra `async` is not installed")
    from sqlalchemy.ext.asyncio import create_async_engine

    def migrate(sync_connection):
        with batch(sync_connection) as photos:
            photos.add_column(Column("stars", Integer))

    async def main():
        engine = create_async_engine(str(photo_engine.url))
        async with engine.begin() as asynchronous:
            await asynchronous.run_sync(migrate)
        await engine.dispose()

    asyncio.run(main())
    assert names(noted, "trigger") == ["noted", *OWN]


def test_every_alembic_can_load_the_plugin() -> None:
    # 1.18 to 1.20.0 iterate over what the entry point names, newer ones want a module.
    import importlib
    import types

    plugin = importlib.import_module("sqlalchemy_thanosql.migrations")
    assert isinstance(plugin, types.ModuleType)
    assert list(plugin) == [plugin]  # type: ignore[call-overload]
