"""Which paths a workspace lets statements read."""

from __future__ import annotations

from pathlib import Path

import pytest

from thanosql_dbapi.errors import WorkspaceError
from thanosql_dbapi.workspace import Workspace


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_link_out_of_the_workspace_is_refused(tmp_path: Path, kind: str) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "cat.jpg").write_bytes(b"")
    link = inside / "link"
    link.symlink_to(outside / "cat.jpg" if kind == "file" else outside)
    path = "link" if kind == "file" else "link/cat.jpg"
    with pytest.raises(WorkspaceError, match="lies outside the workspace"):
        Workspace(inside).locate(path)
    assert Workspace(inside, [outside]).locate(path) == (outside / "cat.jpg").resolve()


def test_a_workspace_that_is_a_link_is_the_folder_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert Workspace(tmp_path / "link").locate("a.jpg") == (tmp_path / "real" / "a.jpg").resolve()
