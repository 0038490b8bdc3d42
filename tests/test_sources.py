"""The sources room: catalog, hub, downloads, archives, and GET into place."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import socket
import stat
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from thanosql_dbapi.errors import ModelError, SourceError
from thanosql_dbapi.progress import Progress
from thanosql_dbapi.sources import archive
from thanosql_dbapi.sources.catalog import DATASET, Entry, load_catalog, name_problem
from thanosql_dbapi.sources.fetch import fetch_dataset, fetch_model
from thanosql_dbapi.sources.hub_cache import choose_files, parse_source
from thanosql_dbapi.sources.network import fetch_bytes

SILENT = Progress(False)
FILES = {"photos.csv": b"image_path\nimages/a.jpg\n", "images/a.jpg": b"not really a picture"}


def zipped(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return out.getvalue()


def tarred(files: dict[str, bytes], compression: str = "gz", **member: object) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=f"w:{compression}") as file:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            for key, value in member.items():
                setattr(info, key, value)
            file.addfile(info, io.BytesIO(content))
    return out.getvalue()


def content_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def dataset(source: object, **fields: str) -> Entry:
    return Entry("photos", str(source), kind=DATASET, **fields)


# ---- the catalog -----------------------------------------------------------------------------


def written(tmp_path: Path, content: object) -> Path:
    path = tmp_path / "catalog.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_the_built_in_catalog() -> None:
    catalog = load_catalog()
    assert list(catalog.datasets) == ["storybook", "unsplash_data"]
    assert catalog.dataset("STORYBOOK").source == "builtin:storybook"
    assert {"storybook_clip", "tutorial_search_clip", "clip", "clip_en"} <= catalog.models.keys()
    for name in ("tutorial_search_clip", "clip", "clip_en"):
        model = catalog.model(name)
        assert model.base == "clipen"
        assert parse_source(model.source).repo == "openai/clip-vit-base-patch32"
    for entry in [*catalog.datasets.values(), *catalog.models.values()]:
        assert entry.description
        assert entry.license
        if entry.source.startswith("hf:") and "Not pinned" not in entry.description:
            assert len(parse_source(entry.source).revision) == 40  # pinned


def test_the_users_catalog_is_laid_over_ours(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        {
            "datasets": {"photos": {"source": "data/photos.zip", "sha256": "AB" * 32}},
            "models": {"clip": {"source": "/models/mine", "base": "clipxx", "homepage": "…"}},
        },
    )
    for location in (path, str(path)):
        catalog = load_catalog(location)
        assert catalog.dataset("photos") == Entry(
            name="photos",
            source=str(tmp_path / "data" / "photos.zip"),
            sha256="ab" * 32,
            kind=DATASET,
            catalog=str(path),
        )
        assert (catalog.model("clip").source, catalog.model("clip").base) == (
            "/models/mine",
            "clipxx",
        )
        assert catalog.dataset("storybook")
        assert catalog.model("clip_en").base == "clipen"


def test_a_catalog_by_url(http_server) -> None:
    content = {"datasets": {"photos": {"source": "../data/photos.zip"}}, "models": {}}
    http_server.routes["/lists/catalog.json"] = json.dumps(content).encode()
    url = f"{http_server.url}/lists/catalog.json"
    assert load_catalog(url).dataset("photos").source == f"{http_server.url}/data/photos.zip"
    with pytest.raises(SourceError, match=r"catalog 'http://.*' needs the network, and .* offline"):
        load_catalog(url, offline=True)
    with pytest.raises(SourceError, match=r"answers 404 Not Found; check the URL"):
        load_catalog(url + "x")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ('{"models": {"a": {}, "a": {}}}', "the name 'a' stands twice"),
        ([], r'expected an object with "datasets" and "models", got \[\]'),
        ({"dataset": {}}, 'unknown "dataset"; did you mean "datasets"'),
        ({"models": []}, r'"models" must be an object, entries by name, got \[\]'),
        ({"models": {"m": "hf:a/b"}}, r"model 'm': expected an object with a \"source\", got 'hf"),
        ({"models": {"m": {}}}, r"model 'm': the field \"source\" is missing"),
        ({"models": {"m": {"source": 3}}}, r"model 'm': \"source\" must be a text, got 3"),
        (
            {"datasets": {"d": {"source": "x", "sha265": "…"}}},
            r"data set 'd': unknown field \"sha265\"; did you mean \"sha256\"",
        ),
        (
            {"datasets": {"d": {"source": "x", "sha256": "12"}}},
            r"data set 'd': \"sha256\" must be 64 hexadecimal digits, got '12'",
        ),
        ({"models": {"m": {"source": "x", "base": "a b"}}}, r"\"base\" must be a word such as"),
        ({"models": {"m": {"source": "ftp://x/y"}}}, r"\"source\" must be hf:org/name"),
        ({"models": {"m": {"source": "builtin:x"}}}, "is 'builtin:storybook_clip'"),
        ({"datasets": {"d": {"source": "hf:a/b"}}}, "only models come from the Hugging Face hub"),
        ({"datasets": {"../d": {"source": "x"}}}, "neither starts nor ends with"),
        ({"datasets": {"a/d": {"source": "x"}}}, "cannot have '/'"),
    ],
)
def test_malformed_catalogs(tmp_path: Path, content: object, message: str) -> None:
    path = written(tmp_path, content)
    with pytest.raises(SourceError, match=message) as caught:
        load_catalog(path)
    assert str(path) in str(caught.value)  # which file


def test_a_missing_catalog(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"none\.json' cannot be read: No such file"):
        load_catalog(tmp_path / "none.json")


def test_names_that_are_not_there() -> None:
    catalog = load_catalog()
    with pytest.raises(
        SourceError,
        match=r"no data set named 'storybok' .*did you mean 'storybook'\? LIST THANOSQL DATASET",
    ):
        catalog.dataset("storybok")
    with pytest.raises(
        SourceError, match=r"no model named 'xyzzy' in the catalog; LIST THANOSQL M"
    ):
        catalog.model("xyzzy")


@pytest.mark.parametrize("name", ["", ".x", "x.", " x", "a/b", "a\\b", "c:", "a\0b", "x" * 101])
def test_names_that_cannot_be_folders(name: str) -> None:
    assert name_problem(name)
    assert not name_problem("unsplash_data")
    assert not name_problem("사진 모음")


# ---- data sets from archives and folders -----------------------------------------------------


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("compression", ["zip", "", "gz", "bz2", "xz"])
def test_archives_by_path(tmp_path: Path, compression: str, wrapped: bool) -> None:
    files = {f"photos/{name}" if wrapped else name: content for name, content in FILES.items()}
    made = zipped(files) if compression == "zip" else tarred(files, compression)
    path = tmp_path / "archive.any"
    path.write_bytes(made)
    entry = dataset(path, sha256=hashlib.sha256(made).hexdigest())
    fetch_dataset(entry, tmp_path / "sets" / "photos", progress=SILENT)
    assert content_of(tmp_path / "sets" / "photos") == FILES
    assert [p.name for p in (tmp_path / "sets").iterdir()] == ["photos"]


def test_a_folder_of_another_name_stays(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zipped({"images/a.jpg": b"x"}))
    fetch_dataset(dataset(tmp_path / "a.zip"), tmp_path / "photos", progress=SILENT)
    assert content_of(tmp_path / "photos") == {"images/a.jpg": b"x"}


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="this Python reads zstandard")
def test_zstandard_needs_a_newer_python(tmp_path: Path) -> None:
    (tmp_path / "a.tar.zst").write_bytes(b"\x28\xb5\x2f\xfd.......")
    with pytest.raises(SourceError, match="is compressed with zstd, which this Python"):
        fetch_dataset(dataset(tmp_path / "a.tar.zst"), tmp_path / "photos", progress=SILENT)


def test_archives_by_url_show_their_bytes(tmp_path: Path, http_server) -> None:
    made = tarred({"noise": bytes(range(256)) * 4000}, "")
    http_server.routes["/a.tar"] = made
    steps: list[tuple[int, int | None, str]] = []
    progress = Progress(lambda *step: steps.append(step))
    entry = dataset(f"{http_server.url}/a.tar", sha256=hashlib.sha256(made).hexdigest())
    fetch_dataset(entry, tmp_path / "photos", progress=progress)
    downloads = [step for step in steps if step[2] == "download photos"]
    assert downloads[-1] == (len(made), len(made), "download photos")
    assert content_of(tmp_path / "photos").keys() == {"noise"}


def test_redirects_are_followed(tmp_path: Path, http_server) -> None:
    http_server.routes["/old"] = http_server.reply(status=302, headers={"Location": "/new"})
    http_server.routes["/new"] = zipped(FILES)
    fetch_dataset(dataset(f"{http_server.url}/old"), tmp_path / "photos", progress=SILENT)
    assert content_of(tmp_path / "photos") == FILES


def test_folders_are_copied(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "images").mkdir(parents=True)
    for name, content in FILES.items():
        (source / name).write_bytes(content)
    (source / "link.csv").symlink_to("photos.csv")
    fetch_dataset(dataset(source), tmp_path / "photos", progress=SILENT)
    assert content_of(tmp_path / "photos") == {**FILES, "link.csv": FILES["photos.csv"]}
    (source / "out").symlink_to("/etc")
    with pytest.raises(SourceError, match=r"is a link to '/.*', outside the data set's folder"):
        fetch_dataset(dataset(source), tmp_path / "photos", overwrite=True, progress=SILENT)
    assert "link.csv" in content_of(tmp_path / "photos")


def test_overwrite(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zipped(FILES))
    place = tmp_path / "sets" / "photos"
    place.mkdir(parents=True)
    (place / "mine.txt").write_text("mine")
    with pytest.raises(SourceError, match=r"exists already; .* OPTIONS \(overwrite=True\)"):
        fetch_dataset(dataset(tmp_path / "a.zip"), place, progress=SILENT)
    assert content_of(place) == {"mine.txt": b"mine"}
    fetch_dataset(dataset(tmp_path / "a.zip"), place, overwrite=True, progress=SILENT)
    assert content_of(place) == FILES
    assert [path.name for path in place.parent.iterdir()] == ["photos"]


def test_overwriting_a_link_leaves_what_it_points_to(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zipped(FILES))
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "precious").write_text("x")
    (tmp_path / "photos").symlink_to(elsewhere)
    fetch_dataset(dataset(tmp_path / "a.zip"), tmp_path / "photos", overwrite=True, progress=SILENT)
    assert content_of(elsewhere) == {"precious": b"x"}
    assert content_of(tmp_path / "photos") == FILES
    assert not (tmp_path / "photos").is_symlink()


# ---- archives that are refused ---------------------------------------------------------------


def linked(kind: bytes) -> bytes:
    return tarred({"photos.csv": b""}, type=kind, linkname="/etc/passwd")


def linked_zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        info = zipfile.ZipInfo("photos.csv")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        file.writestr(info, "/etc/passwd")
    return out.getvalue()


def encrypted_zip() -> bytes:
    content = bytearray(zipped({"a.txt": b"x"}))
    content[6] |= 1  # the flag in the file's own header …
    content[content.index(b"PK\x01\x02") + 8] |= 1  # … and in the directory
    return bytes(content)


def huge_header() -> bytes:
    """A tar file whose first member claims a long name of a gigabyte."""
    info = tarfile.TarInfo("././@LongLink")
    info.type = tarfile.GNUTYPE_LONGNAME
    info.size = 1 << 30
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (zipped({"../evil.txt": b"x"}), r"'\.\./evil\.txt', which would be written outside"),
        (zipped({"a/../../evil.txt": b"x"}), "would be written outside its folder"),
        (zipped({"/evil.txt": b"x"}), "would be written outside its folder"),
        (zipped({"..\\evil.txt": b"x"}), "would be written outside its folder"),
        (zipped({"c:/evil.txt": b"x"}), "would be written outside its folder"),
        (tarred({"../evil.txt": b"x"}), r"'\.\./evil\.txt', which would be written outside"),
        (tarred({"/evil.txt": b"x"}), "would be written outside its folder"),
        (linked(tarfile.SYMTYPE), "a link or device; only files and folders are unpacked"),
        (linked(tarfile.LNKTYPE), "a link or device"),
        (linked(tarfile.CHRTYPE), "a link or device"),
        (linked(tarfile.FIFOTYPE), "a link or device"),
        (linked_zip(), "a link or device"),
        (encrypted_zip(), "is encrypted with a password"),
        (zipped(FILES)[:-40], "(damaged or cut short|neither a zip nor a tar)"),
        (tarred({"a": bytes(range(256)) * 99}, "gz")[:-60], "damaged or cut short"),
        (tarred({"a": bytes(range(256)) * 99}, "")[:2000], "damaged or cut short"),
        (tarred({"a": bytes(range(256)) * 99}, "xz")[:-60], "damaged or cut short"),
        (huge_header(), "asks for too much memory"),
        (b"<html>not found</html>", r"neither a zip nor a tar archive; .* b'<html>not fo'"),
        (b"", "neither a zip nor a tar archive"),
    ],
)
def test_refused_archives(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "a").write_bytes(content)
    place = tmp_path / "deep" / "sets" / "photos"
    place.mkdir(parents=True)
    (place / "mine.txt").write_text("mine")
    with pytest.raises(SourceError, match=message) as caught:
        fetch_dataset(dataset(tmp_path / "a"), place, overwrite=True, progress=SILENT)
    assert str(caught.value).startswith("data set 'photos': archive '")
    assert str(caught.value).endswith("; nothing was changed")
    assert content_of(tmp_path / "deep") == {"sets/photos/mine.txt": b"mine"}


@pytest.mark.parametrize("make", [zipped, tarred])
def test_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable) -> None:
    monkeypatch.setattr(archive, "RATIO_FREE_BYTES", 1 << 20)
    (tmp_path / "a").write_bytes(make({"zeros": bytes(8 << 20)}))
    with pytest.raises(SourceError, match=r"more than 200 times its size .*refused as a bomb"):
        fetch_dataset(dataset(tmp_path / "a"), tmp_path / "photos", progress=SILENT)
    monkeypatch.setattr(archive, "ENTRIES_LIMIT", 2)
    (tmp_path / "b").write_bytes(make({"a": b"", "b": b"", "c": b""}))
    with pytest.raises(SourceError, match=r"holds more than 2 files; refused"):
        fetch_dataset(dataset(tmp_path / "b"), tmp_path / "photos", progress=SILENT)
    assert not (tmp_path / "photos").exists()


def test_a_zip_that_lies_about_a_size(tmp_path: Path) -> None:
    content = bytearray(zipped({"zeros": bytes(1 << 20)}))
    at = content.index(b"PK\x01\x02") + 24
    content[at : at + 4] = (10).to_bytes(4, "little")
    (tmp_path / "a").write_bytes(bytes(content))
    with pytest.raises(SourceError, match="damaged or cut short"):
        fetch_dataset(dataset(tmp_path / "a"), tmp_path / "photos", progress=SILENT)


@pytest.mark.parametrize("by_url", [False, True])
def test_a_wrong_checksum(tmp_path: Path, http_server, by_url: bool) -> None:
    made = zipped(FILES)
    (tmp_path / "a.zip").write_bytes(made)
    http_server.routes["/a.zip"] = made
    source = f"{http_server.url}/a.zip" if by_url else tmp_path / "a.zip"
    found = hashlib.sha256(made).hexdigest()
    with pytest.raises(
        SourceError, match=rf"expected sha256 {'ab' * 32}, got {found}; nothing was unpacked"
    ):
        fetch_dataset(dataset(source, sha256="ab" * 32), tmp_path / "photos", progress=SILENT)
    assert [path.name for path in tmp_path.iterdir()] == ["a.zip"]


# ---- the network -----------------------------------------------------------------------------


def test_a_download_that_stops_early_is_tried_again(tmp_path: Path, http_server) -> None:
    made = zipped(FILES)
    cut = http_server.reply(
        made[:50], headers={"Content-Length": str(len(made)), "Connection": "close"}
    )
    answers = [cut, http_server.reply(status=503), http_server.reply(made)]
    http_server.routes["/a.zip"] = lambda path: answers.pop(0)
    fetch_dataset(dataset(f"{http_server.url}/a.zip"), tmp_path / "photos", progress=SILENT)
    assert content_of(tmp_path / "photos") == FILES
    http_server.routes["/a.zip"] = cut
    with pytest.raises(SourceError, match=r"cannot be downloaded: .*; check the network"):
        fetch_dataset(
            dataset(f"{http_server.url}/a.zip"),
            tmp_path / "photos",
            overwrite=True,
            progress=SILENT,
        )
    assert content_of(tmp_path / "photos") == FILES
    assert [path.name for path in tmp_path.iterdir()] == ["photos"]


def test_servers_that_do_not_help(tmp_path: Path, http_server) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    for url, message in [
        (f"{http_server.url}/none", "answers 404 Not Found"),
        (f"http://127.0.0.1:{port}/a", "cannot be downloaded: .*; check the network"),
        ("http://[broken/a", "cannot be downloaded"),
    ]:
        with pytest.raises(SourceError, match=message):
            fetch_bytes(url)
        with pytest.raises(SourceError, match=message):
            fetch_dataset(dataset(url), tmp_path / "photos", progress=SILENT)
    assert http_server.asked.count("/none") == 2  # a 404 is not asked for again


def test_fetch_bytes_has_limits(http_server, monkeypatch: pytest.MonkeyPatch) -> None:
    http_server.routes["/image"] = bytes(1000)
    assert fetch_bytes(f"{http_server.url}/image") == bytes(1000)
    with pytest.raises(SourceError, match=r"sends more than the limit of 999 bytes"):
        fetch_bytes(f"{http_server.url}/image", limit_bytes=999)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(SourceError, match="cannot be downloaded: timed out"):
            fetch_bytes(url, timeout_s=0.05)
    http_server.routes["/loop"] = http_server.reply(status=302, headers={"Location": "/loop"})
    with pytest.raises(SourceError, match=r"cannot be downloaded: .*redirects"):
        fetch_bytes(f"{http_server.url}/loop")


def test_offline(tmp_path: Path, http_server) -> None:
    url = f"{http_server.url}/a.zip"
    with pytest.raises(SourceError, match=r"archive '.*' needs the network, and this connection"):
        fetch_dataset(dataset(url), tmp_path / "photos", offline=True, progress=SILENT)
    assert http_server.asked == []
    (tmp_path / "a.zip").write_bytes(zipped(FILES))
    fetch_dataset(dataset(tmp_path / "a.zip"), tmp_path / "photos", offline=True, progress=SILENT)
    assert content_of(tmp_path / "photos") == FILES


def test_a_missing_source_names_the_catalog(tmp_path: Path) -> None:
    entry = dataset(tmp_path / "none.zip", catalog="/etc/catalog.json")
    with pytest.raises(
        SourceError, match=r"none\.zip' does not exist; the entry is in catalog '/etc/catalog"
    ):
        fetch_dataset(entry, tmp_path / "photos", progress=SILENT)


# ---- options ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"row": 3}, "data set 'storybook' has no option 'row'; it has rows and seed"),
        ({"rows": 0}, "rows must be a whole number, 1 or more, got 0"),
        ({"rows": True}, "rows must be a whole number, 1 or more, got True"),
        ({"rows": "9"}, "rows must be a whole number, 1 or more, got '9'"),
        ({"seed": -1}, "seed must be a whole number, 0 or more, got -1"),
    ],
)
def test_bad_options_of_storybook(tmp_path: Path, options: dict, message: str) -> None:
    entry = load_catalog().dataset("storybook")
    with pytest.raises(SourceError, match=message):
        fetch_dataset(entry, tmp_path / "storybook", options=options, progress=SILENT)
    assert list(tmp_path.iterdir()) == []


def test_options_that_a_data_set_does_not_take(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(zipped(FILES))
    entry, place = dataset(tmp_path / "a.zip"), tmp_path / "photos"
    with pytest.raises(SourceError, match="data set 'photos' has no option 'rows'"):
        fetch_dataset(entry, place, options={"rows": 3}, progress=SILENT)
    fetch_dataset(entry, place, options={"rows": None}, progress=SILENT)


def test_storybook(tmp_path: Path) -> None:
    steps: list[tuple[int, int | None, str]] = []
    entry = load_catalog().dataset("storybook")
    place = tmp_path / "storybook"
    progress = Progress(lambda *step: steps.append(step))
    fetch_dataset(entry, place, offline=True, options={"rows": 6, "seed": 4}, progress=progress)
    lines = (place / "storybook.csv").read_text(encoding="utf-8").splitlines()
    assert len(lines) == 7
    assert steps[-1] == (6, 6, "draw storybook")


# ---- models ----------------------------------------------------------------------------------


def test_a_model_from_a_folder_and_from_an_archive(tmp_path: Path, clip_folder: Path) -> None:
    facts = fetch_model(Entry("m", str(clip_folder)), tmp_path / "models" / "m", progress=SILENT)
    assert facts.folder == tmp_path / "models" / "m"
    files = {f"any-name/{name}": content for name, content in content_of(clip_folder).items()}
    made = tarred(files)
    (tmp_path / "m.tgz").write_bytes(made)
    entry = Entry("m", str(tmp_path / "m.tgz"), sha256=hashlib.sha256(made).hexdigest())
    again = fetch_model(entry, tmp_path / "models" / "m", overwrite=True, progress=SILENT)
    assert again == facts
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["m"]


def test_a_model_whose_weights_are_a_pickle(tmp_path: Path, clip_folder: Path) -> None:
    import torch
    from safetensors.torch import load_file

    source = Path(shutil.copytree(clip_folder, tmp_path / "source"))
    torch.save(load_file(source / "model.safetensors"), source / "mine.pt")
    (source / "model.safetensors").unlink()
    fetch_model(Entry("m", str(source)), tmp_path / "m", progress=SILENT)
    assert (tmp_path / "m" / "model.safetensors").is_file()
    assert not (tmp_path / "m" / "mine.pt").exists()
    assert (source / "mine.pt").exists()  # the user's own file


def test_a_model_that_is_none(tmp_path: Path, clip_folder: Path) -> None:
    place = tmp_path / "models" / "m"
    fetch_model(Entry("m", str(clip_folder)), place, progress=SILENT)
    before = content_of(place)
    for damage, message in [
        ("model.safetensors", "has no weights"),
        ("config.json", r"has no config\.json"),
        ("tokenizer.json", "has no tokenizer"),
    ]:
        source = Path(shutil.copytree(clip_folder, tmp_path / f"without {damage}"))
        (source / damage).unlink()
        with pytest.raises(ModelError, match=message) as caught:
            fetch_model(Entry("m", str(source)), place, overwrite=True, progress=SILENT)
        assert str(caught.value).startswith("model 'm': ")
        assert str(caught.value).endswith("; nothing was changed")
        assert ".partial" not in str(caught.value)
        assert content_of(place) == before
    assert [path.name for path in place.parent.iterdir()] == ["m"]


def test_storybook_clip_comes_with_the_package(tmp_path: Path) -> None:
    from thanosql_dbapi import storybook

    if not getattr(storybook, "MODEL_FOLDER", Path("none")).is_dir():
        pytest.skip("the model is not trained yet")
    entry = load_catalog().model("storybook_clip")
    facts = fetch_model(entry, tmp_path / "m", offline=True, progress=SILENT)
    assert facts.size_bytes <= 8_000_000


# ---- the hub ---------------------------------------------------------------------------------

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPO = "org/tiny-clip"


@pytest.fixture
def hub_server(http_server, clip_folder: Path, tmp_path: Path, monkeypatch):
    """The few answers of a hub that a download needs, and an empty cache."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    monkeypatch.setenv("HF_ENDPOINT", http_server.url)
    for name in ("HF_HUB_CACHE", "HF_HUB_OFFLINE", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    serve(http_server, {**content_of(clip_folder), "tf_model.h5": b"x", "README.md": b"x"})
    return http_server


def serve(server, files: dict[str, bytes]) -> None:
    siblings = [{"rfilename": name, "size": len(body)} for name, body in files.items()]
    info = json.dumps({"id": REPO, "modelId": REPO, "sha": COMMIT, "siblings": siblings})
    tree = json.dumps(
        [
            {"type": "file", "path": name, "size": len(body), "oid": hashlib.sha1(body).hexdigest()}
            for name, body in files.items()
        ]
    )
    json_type = {"Content-Type": "application/json"}
    for revision in ("main", COMMIT):
        path = f"/api/models/{REPO}/revision/{revision}"
        server.routes[path] = server.reply(info.encode(), headers=json_type)
        path = f"/api/models/{REPO}/tree/{revision}"
        server.routes[path] = server.reply(tree.encode(), headers=json_type)
    for name, body in files.items():
        headers = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha1(body).hexdigest()}"'}
        for revision in ("main", COMMIT):
            path = f"/{REPO}/resolve/{revision}/{name}"
            server.routes[path] = server.reply(body, headers=headers)


def test_a_model_that_lies_deeper_on_the_hub(hub_server, clip_folder: Path, tmp_path: Path) -> None:
    """As sentence-transformers has it."""
    hub_server.routes.clear()
    files = {f"0_CLIPModel/{name}": body for name, body in content_of(clip_folder).items()}
    serve(hub_server, {**files, "modules.json": b"[]", "1_Other/config.json": b"{}"})
    entry, place = Entry("m", f"hf:{REPO}"), tmp_path / "m"
    for offline in (False, True):
        fetch_model(entry, place, overwrite=True, offline=offline, progress=SILENT)
        assert content_of(place) == content_of(clip_folder)


@pytest.mark.parametrize("kind", ["folder", "archive"])
def test_a_model_that_lies_deeper(clip_folder: Path, tmp_path: Path, kind: str) -> None:
    """As sentence-transformers has it."""
    source = tmp_path / "download"
    shutil.copytree(clip_folder, source / "0_CLIPModel")
    (source / "modules.json").write_text("[]")
    (source / "1_Other").mkdir()
    (source / "1_Other" / "config.json").write_text("{}")
    if kind == "archive":
        source = Path(shutil.make_archive(str(source), "zip", source))
    place = tmp_path / "m"
    fetch_model(Entry("m", str(source)), place, progress=SILENT)
    assert content_of(place) == content_of(clip_folder)


@pytest.mark.parametrize("revision", ["", "@main", f"@{COMMIT}"])
def test_a_model_from_the_hub(
    hub_server, clip_folder: Path, tmp_path: Path, revision: str, capfd
) -> None:
    steps: list[tuple[int, int | None, str]] = []
    entry, place = Entry("m", f"hf:{REPO}{revision}"), tmp_path / "m"
    fetch_model(entry, place, progress=Progress(lambda *step: steps.append(step)))
    assert content_of(place) == content_of(clip_folder)  # neither tf_model.h5 nor README.md
    total = sum(map(len, content_of(clip_folder).values()))
    assert steps[-1] == (total, total, f"download {REPO}")
    assert capfd.readouterr() == ("", "")  # no bars of the hub's own
    assert not any(path.is_symlink() for path in place.iterdir())

    hub_server.asked.clear()  # a pinned commit comes from the cache now
    fetch_model(entry, place, overwrite=True, offline=True, progress=SILENT)
    assert content_of(place) == content_of(clip_folder)
    if revision == f"@{COMMIT}":
        fetch_model(entry, place, overwrite=True, progress=SILENT)
    assert hub_server.asked == []


def test_a_hub_model_with_a_pickle_alone(hub_server, clip_folder: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    files = content_of(clip_folder)
    out = io.BytesIO()
    torch.save(load_file(clip_folder / "model.safetensors"), out)
    del files["model.safetensors"]
    serve(hub_server, {**files, "pytorch_model.bin": out.getvalue()})
    fetch_model(Entry("m", f"hf:{REPO}"), tmp_path / "m", progress=SILENT)
    assert (tmp_path / "m" / "model.safetensors").is_file()
    assert not (tmp_path / "m" / "pytorch_model.bin").exists()
    cached = list((tmp_path / "hf").rglob("pytorch_model.bin"))
    assert cached  # the hub's cache keeps its own
    assert cached[0].read_bytes() == out.getvalue()


def test_an_unreachable_hub_leaves_the_cache(hub_server, tmp_path: Path, monkeypatch) -> None:
    entry = Entry("m", f"hf:{REPO}")
    with socket.create_server(("127.0.0.1", 0)) as unused:
        nowhere = f"http://127.0.0.1:{unused.getsockname()[1]}"
    monkeypatch.setenv("HF_ENDPOINT", nowhere)
    with pytest.raises(SourceError, match=r"cannot be downloaded from http://127.*HF_ENDPOINT"):
        fetch_model(entry, tmp_path / "m", progress=SILENT)
    monkeypatch.setenv("HF_ENDPOINT", hub_server.url)
    fetch_model(entry, tmp_path / "m", progress=SILENT)
    monkeypatch.setenv("HF_ENDPOINT", nowhere)
    fetch_model(entry, tmp_path / "m", overwrite=True, progress=SILENT)


def test_offline_without_a_cache(hub_server, tmp_path: Path, monkeypatch) -> None:
    entry = Entry("m", f"hf:{REPO}")
    with pytest.raises(SourceError, match=r"is not in the hub's cache.*this connection is offline"):
        fetch_model(entry, tmp_path / "m", offline=True, progress=SILENT)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(SourceError, match=r"is not in the hub's cache, and HF_HUB_OFFLINE forbids"):
        fetch_model(entry, tmp_path / "m", progress=SILENT)
    assert hub_server.asked == []


@pytest.mark.parametrize(
    ("source", "status", "code", "message"),
    [
        ("hf:org/none", 404, "RepoNotFound", "has no model 'org/none', or it is private"),
        (f"hf:{REPO}@v9", 404, "RevisionNotFound", f"model '{REPO}' has no revision 'v9'"),
        (f"hf:{REPO}@v9", 403, "GatedRepo", "asks to accept its terms first: .*HF_TOKEN"),
        (f"hf:{REPO}@v9", 500, "", "answers 500 for hf:org/tiny-clip@v9; try again later"),
    ],
)
def test_what_the_hub_refuses(
    hub_server, tmp_path: Path, source: str, status: int, code: str, message: str
) -> None:
    found = parse_source(source)
    answer = hub_server.reply(b"{}", status, {"X-Error-Code": code} if code else {})
    hub_server.routes[f"/api/models/{found.repo}/revision/{found.revision}"] = answer
    with pytest.raises(SourceError, match=message):
        fetch_model(Entry("m", source), tmp_path / "m", progress=SILENT)


@pytest.mark.parametrize("source", ["hf:", "hf:a/b/c", "hf:a/b@", "hf:a b/c", "hf:a/b?x=1"])
def test_malformed_hub_names(tmp_path: Path, source: str) -> None:
    with pytest.raises(SourceError, match=r"expected hf:org/name\[@revision\], got 'hf:"):
        fetch_model(Entry("m", source), tmp_path / "m", progress=SILENT)


@pytest.mark.parametrize(
    ("names", "want"),
    [
        (["model.safetensors", "pytorch_model.bin", "flax_model.msgpack"], ["model.safetensors"]),
        (["pytorch_model.bin", "tf_model.h5"], ["pytorch_model.bin"]),
        (
            ["model.safetensors.index.json", "model-00001-of-00001.safetensors", "x.safetensors"],
            ["model.safetensors.index.json", "model-00001-of-00001.safetensors"],
        ),
        (["merges.txt", "onnx/model.onnx", "config.json"], ["config.json", "merges.txt"]),
    ],
)
def test_the_files_that_are_chosen(names: list[str], want: list[str]) -> None:
    assert choose_files(names) == want


def test_nothing_heavy_is_imported_by_the_room() -> None:
    import subprocess

    code = (
        "import sys, thanosql_dbapi.sources.fetch, thanosql_dbapi.sources.catalog as c;"
        "c.load_catalog();"
        "print(sorted({'torch','transformers','PIL','httpx','huggingface_hub'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
