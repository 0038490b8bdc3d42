"""Fixtures that several test modules share."""

from __future__ import annotations

import io
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from programs import Done, Program

import thanosql_dbapi

START, END = "<|startoftext|>", "<|endoftext|>"
MAX_TOKENS = 77
DIMENSION = 24
IMAGE_SIZE = 32

# IPython warns, and so fails, where this names another environment than the interpreter's own.
os.environ.pop("VIRTUAL_ENV", None)


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A randomly initialised CLIP of 50,000 numbers; not to be changed, copy it to damage it."""
    import torch
    from transformers import CLIPConfig, CLIPModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("model") / "tiny_clip"
    folder.mkdir()
    tokenizer = make_tokenizer()
    start, end = tokenizer.token_to_id(START), tokenizer.token_to_id(END)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=START,
        eos_token=END,
        pad_token=END,
        unk_token=END,
        model_max_length=MAX_TOKENS,
    ).save_pretrained(folder)
    layers = {
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
    }
    config = CLIPConfig(
        text_config={
            **layers,
            "vocab_size": tokenizer.get_vocab_size(),
            "max_position_embeddings": MAX_TOKENS,
            "bos_token_id": start,
            "eos_token_id": end,
            "pad_token_id": end,
        },
        vision_config={**layers, "image_size": IMAGE_SIZE, "patch_size": 8},
        projection_dim=DIMENSION,
    )
    torch.manual_seed(0)
    CLIPModel(config).save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(
        json.dumps(
            {
                "image_processor_type": "CLIPImageProcessor",
                "size": {"shortest_edge": IMAGE_SIZE},
                "crop_size": {"height": IMAGE_SIZE, "width": IMAGE_SIZE},
                "image_mean": [0.48145466, 0.4578275, 0.40821073],
                "image_std": [0.26862954, 0.26130258, 0.27577711],
            }
        )
    )
    return folder


def make_tokenizer():
    """A byte-level BPE tokenizer, so that any text is in its vocabulary, Korean included."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    # Not learnt: the trainer of the library numbers its alphabet at random, and the model is to be
    # the same in each process.
    pieces = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges: list[tuple[str, str]] = []
    for word in ("a", "black", "cat", "dog", "on", "chair", "gloomy", "photos"):
        *letters, last = word
        pieces.append(f"{last}</w>")
        begun = ""
        for letter in [*letters, f"{last}</w>"]:
            if begun:
                merges.append((begun, letter))
            begun += letter
            pieces.append(begun)
    # Not 2: with that number transformers looks for the highest token instead of the end.
    numbers = {piece: number for number, piece in enumerate(dict.fromkeys([START, END, *pieces]))}
    tokenizer = Tokenizer(
        models.BPE(numbers, merges, unk_token=END, end_of_word_suffix="</w>", fuse_unk=False)
    )
    tokenizer.add_special_tokens([START, END])
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Whitespace(),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.post_processor = processors.RobertaProcessing(
        (END, tokenizer.token_to_id(END)),
        (START, tokenizer.token_to_id(START)),
        trim_offsets=False,
        add_prefix_space=False,
    )
    return tokenizer


@pytest.fixture(scope="session")
def photos() -> Path:
    """A folder of real camera files, which lies beside the repository on some machines."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "photos"
    if not folder.is_dir():
        pytest.skip(f"no photographs at {folder}")
    return folder


@dataclass
class Answer:
    """What the server says to a path."""

    body: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


Route = bytes | Answer | Callable[[str], "bytes | Answer"]


@dataclass
class Server:
    """A loopback HTTP server: set ``routes[path]`` to bytes or a reply, look at ``asked``."""

    url: str
    routes: dict[str, Route] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    @staticmethod
    def reply(
        body: bytes = b"", status: int = 200, headers: dict[str, str] | None = None
    ) -> Answer:
        """An answer with a status or headers, for ``routes``."""
        return Answer(body, status, headers or {})

    def answer(self, path: str) -> Answer:
        route = self.routes.get(path, Answer(b"not here", 404))
        if callable(route):
            route = route(path)
        return Answer(route) if isinstance(route, bytes) else route


@pytest.fixture
def http_server() -> Iterator[Server]:
    """A server on 127.0.0.1 for the length of a test."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            server.asked.append(path)
            answer = server.answer(path)
            self.send_response(answer.status)
            for name, value in {"Content-Length": str(len(answer.body)), **answer.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body)

        do_HEAD = do_GET  # noqa: N815 - the name that http.server calls

        def log_message(self, *args: object) -> None:
            pass

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    server = Server(f"http://127.0.0.1:{listener.server_port}")
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    listener.shutdown()
    thread.join()
    listener.server_close()


@pytest.fixture
def workspace(tmp_path: Path, clip_folder: Path) -> Path:
    """A workspace with six small images, a CSV that names them, and a model folder."""
    import shutil

    from PIL import Image

    folder = tmp_path / "workspace"
    (folder / "images").mkdir(parents=True)
    shutil.copytree(clip_folder, folder / "tiny_clip")
    colors = ["red", "green", "blue", "black", "white", "orange"]
    lines = ["photo_id,image_path,caption"]
    for number, color in enumerate(colors):
        Image.new("RGB", (48, 40), color).save(folder / "images" / f"{color}.png")
        lines.append(f"00{number},images/{color}.png,a {color} picture")
    (folder / "photos.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def connection(workspace: Path) -> Iterator[thanosql_dbapi.Connection]:
    """A connection on a file in the workspace, with table ``photos`` and model ``m``."""
    connection = thanosql_dbapi.connect(workspace / "photos.db", progress=False)
    connection.execute("COPY photos FROM 'photos.csv'")
    connection.execute("UPLOAD MODEL m FROM 'tiny_clip'")
    yield connection
    connection.close()


@pytest.fixture
def converted(connection: thanosql_dbapi.Connection) -> thanosql_dbapi.Connection:
    """The same, with the photos converted in place."""
    connection.execute("CONVERT USING m OPTIONS (table_name='photos') AS SELECT * FROM photos")
    return connection


@pytest.fixture
def writes_each_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let CONVERT write batch by batch, and not once a second."""
    monkeypatch.setattr("thanosql_dbapi.statements.grouping.SECONDS", 0.0)


@pytest.fixture
def program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Program:
    """Runs the command line in an empty folder, in this process: importing torch takes seconds.

    ``stdin`` is what is piped into it.
    """
    from thanosql_dbapi.ui.cli import main

    monkeypatch.chdir(tmp_path)
    for name in ("THANOSQL_WORKSPACE", "THANOSQL_DATABASE", "THANOSQL_CATALOG"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments: str, stdin: str = "") -> Done:
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        capsys.readouterr()
        return Done(main(arguments), *capsys.readouterr())

    return run


@pytest.fixture
def conn(tmp_path: Path) -> Iterator[thanosql_dbapi.Connection]:
    """A workspace with two pictures, and a table that names them and others."""
    from PIL import Image

    from thanosql_dbapi.opening import open_database

    Image.new("RGB", (1000, 600), "red").save(tmp_path / "red.png")
    Image.new("RGB", (100, 200), "blue").save(tmp_path / "blue.jpg")
    (tmp_path / "broken.jpg").write_bytes(b"not a picture")
    connection = open_database(str(tmp_path / "t.db"))
    connection.execute("CREATE TABLE t (image_path, similarity, caption)")
    rows = [
        ("red.png", 0.5, "a <red> picture"),
        ("blue.jpg", 0.25, None),
        ("broken.jpg", None, None),
        ("missing.jpg", None, None),
        (None, None, None),
        (str(tmp_path.parent / "elsewhere.jpg"), None, None),
        ("https://example.com/a.jpg", None, None),
    ]
    connection.executemany("INSERT INTO t VALUES (?, ?, ?)", rows)
    yield connection
    connection.close()
