"""The options of `connect` mean the same in Python, URLs, the command line and the environment."""

from __future__ import annotations

import inspect
import re
from contextlib import closing
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine
from sqlalchemy.exc import ArgumentError

import thanosql_dbapi
from thanosql_dbapi.opening import open_database
from thanosql_dbapi.settings import OPTIONS, Settings
from thanosql_dbapi.ui import cli

# Option, text, value in Python, attribute of the settings, its value. "." is the test's folder.
GIVEN: list[tuple[str, str, Any, str, Any]] = [
    ("workspace", "{}/w", "{}/w", "workspace.root", "{}/w"),
    ("allowed_directories", "{}/w", ["{}/w"], "workspace.allowed_directories", ("{}/w",)),
    ("allowed_directories", "w", ["w"], "workspace.allowed_directories", ("{}/w",)),
    ("catalog", "{}/c.json", "{}/c.json", "catalog", "{}/c.json"),
    ("catalog", "https://a/c.json", "https://a/c.json", "catalog", "https://a/c.json"),
    ("device", "cuda:1", "cuda:1", "device", "cuda:1"),
    ("allowed_hosts", "NAS.local", ["NAS.local"], "allowed_hosts", ("nas.local",)),
    ("allowed_hosts", "10.0.0.5:80", "10.0.0.5:80", "allowed_hosts", ("10.0.0.5:80",)),
    ("mode", "rwc", "rwc", "mode", "rwc"),
    ("cache_bytes", "1000", 1000, "cache_bytes", 1000),
    ("cache_bytes", "0", 0, "cache_bytes", 0),
    ("max_image_pixels", "1000", 1000, "max_image_pixels", 1000),
    ("executor", "threads", "threads", "executor", "threads"),
    ("executor", "ray", "ray", "executor", "ray"),
    ("executor", "ray://head:10001", "ray://head:10001", "executor", "ray://head:10001"),
    ("workers", "3", 3, "workers", 3),
    *(
        (name, word, value, attribute, value)
        for name, attribute in (
            ("progress", "progress.setting"),
            ("offline", "offline"),
            ("network", "network"),
            ("confine_attach", "confine_attach"),
        )
        for words, value in (
            ("true yes on y t 1 TRUE", True),
            ("false no off n f 0 No", False),
        )
        for word in words.split()
    ),
]
WRONG = [
    ("workspace", "/none/there", "takes a folder, and '/none/there' does not exist"),
    ("workspace", __file__, f"takes a folder, and {__file__!r} is a file"),
    ("allowed_directories", "/none/there", "takes a folder, and '/none/there' does not exist"),
    ("catalog", "/none.json", "takes the path of a JSON file that exists, or an http"),
    ("device", "gpu", "takes cpu, cuda, cuda:1 or mps; got 'gpu'"),
    ("cache_bytes", "4GB", "takes a number of bytes; got '4GB'"),
    ("cache_bytes", "-1", "takes 0 or more bytes; got '-1'"),
    ("executor", "clouds", "takes threads, processes, ray or ray://host:10001; got 'clouds'"),
    (
        "executor",
        "ray://head",
        "takes threads, processes, ray or ray://host:10001; got 'ray://head'",
    ),
    (
        "executor",
        "ray://a:99999",
        "takes threads, processes, ray or ray://host:10001; got 'ray://a:99999'",
    ),
    ("workers", "0", "takes 1 or more workers; got '0'"),
    ("max_image_pixels", "0", "takes 1 or more pixels; got '0'"),
    ("max_image_pixels", "-1", "takes 1 or more pixels; got '-1'"),
    ("progress", "maybe", "takes true or false; got 'maybe'"),
    ("offline", "maybe", "takes true or false; got 'maybe'"),
    ("network", "2", "takes true or false; got '2'"),
    ("allowed_hosts", "http://a", "takes hosts, each a name or an address such as nas.local,"),
    ("confine_attach", "2", "takes true or false; got '2'"),
    ("mode", "memory", "takes ro, rw or rwc; got 'memory'"),
]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "w").mkdir()
    (tmp_path / "c.json").write_text("{}")
    for option in OPTIONS.values():
        if option.environment:
            monkeypatch.delenv(option.environment, raising=False)
    return tmp_path


def filled(value: Any, folder: Path) -> Any:
    """Put the test's folder in place of {}."""
    if isinstance(value, str):
        return value.format(folder)
    if isinstance(value, (list, tuple)):
        return type(value)(filled(each, folder) for each in value)
    return value


def found(settings: Settings, attribute: str) -> Any:
    value: Any = settings
    for name in attribute.split("."):
        value = getattr(value, name)
    if isinstance(value, tuple):
        return tuple(map(str, value))
    return str(value) if isinstance(value, Path) else value


def settings_of(connection: thanosql_dbapi.Connection) -> Settings:
    with closing(connection):
        return connection.settings


def from_engine(url: str) -> Settings:
    engine = create_engine(url)
    with engine.connect() as connection:
        driver: Any = connection.connection.dbapi_connection
        settings: Settings = driver.settings
    engine.dispose()
    return settings


def from_command_line(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> Settings:
    opened: list[thanosql_dbapi.Connection] = []

    def watched(*given: Any, **options: Any) -> thanosql_dbapi.Connection:
        opened.append(open_database(*given, **options))
        return opened[0]

    monkeypatch.setattr(cli, "open_database", watched)
    # This machine need not have the device.
    monkeypatch.setattr(cli, "check_device", lambda device: None)
    assert cli.main([*arguments, "--csv"]) == 0
    capsys.readouterr()
    return opened[0].settings


@pytest.mark.parametrize(("name", "text", "value", "attribute", "want"), GIVEN)
def test_an_option_means_the_same_everywhere(
    name: str,
    text: str,
    value: Any,
    attribute: str,
    want: Any,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    text, value, want = (filled(each, folder) for each in (text, value, want))
    option = OPTIONS[name]
    file = f"{folder}/x.db"
    monkeypatch.chdir(folder)  # typed in a shell, a folder is the current folder's
    places = {
        "connect": settings_of(thanosql_dbapi.connect(file, **{name: value})),
        "Connection": settings_of(thanosql_dbapi.Connection(file, **{name: value})),
        "URL": settings_of(open_database(f"thanosql:///{file}?{name}={text}")),
        "SQLAlchemy": from_engine(f"thanosql:///{file}?{name}={text}"),
    }
    if option.metavar:
        words = [file, "SELECT 1", option.flag, text]
    else:
        words = [file, "SELECT 1", option.flag if value else option.flag.replace("--", "--no-")]
    places["command line"] = from_command_line(words, monkeypatch, capsys)
    if option.environment:
        monkeypatch.setenv(option.environment, text)
        places["environment"] = settings_of(thanosql_dbapi.connect(file))
    assert {place: found(each, attribute) for place, each in places.items()} == dict.fromkeys(
        places, want
    )


@pytest.mark.parametrize(("name", "text", "message"), WRONG)
def test_a_wrong_value_is_refused_everywhere_in_the_same_words(
    name: str, text: str, message: str, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    option, typed = OPTIONS[name], f"{OPTIONS[name].flag} {message}"
    message = f"option '{name}' {message}"
    with pytest.raises(thanosql_dbapi.ProgrammingError, match=re.escape(message)):
        open_database(f"thanosql:///{folder}/x.db?{name}={text}")
    with pytest.raises(ArgumentError, match=re.escape(message)):
        create_engine(f"thanosql:///{folder}/x.db?{name}={text}")
    if option.metavar:
        assert cli.main([f"{folder}/x.db", "SELECT 1", f"{option.flag}={text}"]) == 2
        assert typed in capsys.readouterr().err
    value: Any = int(text) if text in ("0", "-1") else text
    is_of_the_type = option.metavar is not None and text != "4GB"
    in_python = re.escape(message) if is_of_the_type else f"{name} must be "
    with pytest.raises(ValueError if is_of_the_type else TypeError, match=in_python):
        thanosql_dbapi.connect(f"{folder}/x.db", **{name: value})
    if option.environment:
        monkeypatch.setenv(option.environment, text)
        with pytest.raises(thanosql_dbapi.ProgrammingError, match=f"{option.environment} takes "):
            thanosql_dbapi.connect(f"{folder}/x.db")
    assert not (folder / "x.db").exists()


def test_a_further_folder_starts_at_the_workspace(folder: Path) -> None:
    with pytest.raises(ValueError, match="option 'allowed_directories' takes a folder, and"):
        thanosql_dbapi.connect(":memory:", workspace=folder, allowed_directories=["none"])


def test_an_argument_wins_over_its_variable_and_an_option_over_the_url(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("THANOSQL_DEVICE", "mps")
    monkeypatch.setenv("THANOSQL_OFFLINE", "y")
    url = f"thanosql:///{folder}/x.db?offline=n&device=cuda"
    settings = settings_of(open_database(url, device="cpu"))
    assert (settings.device, settings.offline) == ("cpu", False)


def test_the_signature_of_connect_has_the_options_of_the_table() -> None:
    parameters = inspect.signature(thanosql_dbapi.connect).parameters.values()
    ours = [each for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY]
    assert [each.name for each in ours] == list(OPTIONS)
    assert [each.default for each in ours] == [None] * len(ours)


def test_the_settings_have_the_options_of_the_table(folder: Path) -> None:
    assert {each.name for each in fields(Settings)} - {"is_read_only"} == set(OPTIONS) - {
        "allowed_directories"
    }
    settings = settings_of(thanosql_dbapi.connect(folder / "x.db"))
    for name in set(OPTIONS) - {"workspace", "allowed_directories", "progress"}:
        assert getattr(settings, name) == OPTIONS[name].default
