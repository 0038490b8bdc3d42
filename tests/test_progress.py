"""Progress: the callable, the bar, and silence."""

from __future__ import annotations

import io
import sys

import pytest

import thanosql_dbapi
from thanosql_dbapi import progress
from thanosql_dbapi.progress import Progress


class _TerminalFile(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_callable_gets_done_total_and_what() -> None:
    steps: list[tuple[int, int | None, str]] = []
    with Progress(lambda *step: steps.append(step)).track("COPY t", 10, "row") as advance:
        advance(4)
        advance(6)
    with Progress(lambda *step: steps.append(step)).track("download", None, "B") as advance:
        advance(7)
    assert steps == [(4, 10, "COPY t"), (10, 10, "COPY t"), (7, None, "download")]


def test_errors_of_the_callable_come_through() -> None:
    def stop(done: int, total: int | None, what: str) -> None:
        raise RuntimeError("enough")

    with pytest.raises(RuntimeError, match="enough"), Progress(stop).track("x", 1) as advance:
        advance(1)


@pytest.mark.parametrize("setting", [None, False])
def test_nothing_where_the_output_is_no_terminal(setting: bool | None, monkeypatch) -> None:
    file = io.StringIO()
    monkeypatch.setattr(sys, "stderr", file)
    with Progress(setting).track("CONVERT t", 3, "image") as advance:
        advance(3)
    assert file.getvalue() == ""


def test_nothing_where_there_is_no_standard_error(monkeypatch) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    with Progress().track("CONVERT t", 3, "image") as advance:
        advance(3)


@pytest.mark.parametrize(
    ("setting", "file"), [(True, io.StringIO()), (None, _TerminalFile())], ids=["forced", "tty"]
)
def test_a_bar_where_it_is_wanted(setting: bool | None, file: io.StringIO, monkeypatch) -> None:
    monkeypatch.setattr(sys, "stderr", file)
    monkeypatch.setattr(progress, "_DELAY_S", 0.0)
    with Progress(setting).track("CONVERT t", 3, "image") as advance:
        advance(3)
    assert "CONVERT t" in file.getvalue()
    assert "image" in file.getvalue()


def test_bytes_are_scaled(monkeypatch) -> None:
    file = io.StringIO()
    monkeypatch.setattr(sys, "stderr", file)
    with Progress(True).track("GET m", 5 * 1024 * 1024, "B") as advance:
        advance(1024)
    assert "5.00M" in file.getvalue()


@pytest.mark.parametrize("setting", [1, "yes", 0])
def test_other_settings_are_refused(setting: object) -> None:
    with pytest.raises(TypeError, match="progress must be None, True, False or a callable, got"):
        thanosql_dbapi.connect(progress=setting)
