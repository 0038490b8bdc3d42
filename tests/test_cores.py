"""The cores that a process may use, and work that is shared among them."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from thanosql_dbapi import cores
from thanosql_dbapi.cores import share, usable_cores


@pytest.mark.parametrize(
    ("quota", "count"),
    [
        ("max 100000", 6),
        ("200000 100000", 2),
        ("150000 100000", 2),
        ("50000 100000", 1),
        ("900000 100000", 6),
        ("", 6),
        (None, 6),
    ],
)
def test_a_container_has_no_more_than_it_is_given(
    quota: str | None, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if quota is not None:
        (tmp_path / "cpu.max").write_text(quota + "\n")
    monkeypatch.setattr(cores, "_QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(6)), raising=False)
    cores._quota.cache_clear()
    try:
        assert usable_cores() == count
    finally:
        cores._quota.cache_clear()


def test_each_item_is_taken_once() -> None:
    taken: list[int] = []
    share(taken.append, range(1000), 4)
    assert sorted(taken) == list(range(1000))


def test_several_threads_take_part() -> None:
    both = threading.Barrier(2)
    share(lambda _: both.wait(20), range(2), 2)


def test_work_may_share_its_own_work() -> None:
    taken: list[int] = []
    share(lambda _: share(taken.append, range(5), 4), range(6), 4)
    assert sorted(taken) == sorted([*range(5)] * 6)


@pytest.mark.parametrize("threads", [1, 4])
def test_what_a_call_raises_is_raised(threads: int) -> None:
    taken: list[int] = []

    def work(item: int) -> None:
        if item == 30:
            raise KeyError(item)
        taken.append(item)

    with pytest.raises(KeyError, match="30"):
        share(work, range(100_000), threads)
    assert len(taken) < 100_000
    share(taken.append, range(2), threads)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_of_fork_has_threads_of_its_own() -> None:
    program = """
import os, threading
from thanosql_dbapi.cores import share
def shared():
    both = threading.Barrier(2)
    share(lambda _: both.wait(20), range(2), 2)
shared()
child = os.fork()
shared()
if child:
    assert os.waitpid(child, 0)[1] == 0
else:
    os._exit(0)
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", program], check=True, timeout=60)


def test_work_is_done_while_the_interpreter_ends() -> None:
    program = """
import atexit
from thanosql_dbapi.cores import share
taken = []
atexit.register(lambda: print(sorted(taken)))
atexit.register(lambda: share(taken.append, range(3), 3))
share(taken.append, range(3, 5), 2)
"""
    done = subprocess.run(
        [sys.executable, "-c", program], check=True, timeout=60, capture_output=True, text=True
    )
    assert done.stdout.strip() == "[0, 1, 2, 3, 4]"
