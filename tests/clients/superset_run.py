"""Apache Superset over a thanosql:// database, for real: ``python tests/clients/superset_run.py``.

Needs an environment with this package and Superset (docs/superset.md says how to make one), and no
network. In a temporary folder it converts drawn pictures, starts Superset on a free port of this
machine alone, asks through Superset's own REST API as a browser would, and stops it. Prints what
was asked and answered; the exit status is 0 when everything was as expected.

    --keep FOLDER   use this folder, and leave it and what Superset knows in it
    --serve         then leave Superset running, until Ctrl-C
"""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

import thanosql_dbapi

CONFIG = """\
SECRET_KEY = {key!r}
SQLALCHEMY_DATABASE_URI = "sqlite:///{folder}/superset.db"
SQLALCHEMY_TRACK_MODIFICATIONS = False
TALISMAN_ENABLED = False
RATELIMIT_ENABLED = False
FAB_ADD_SECURITY_API = True
FEATURE_FLAGS = {{"RLS_IN_SQLLAB": True}}
DATA_DIR = {folder!r}
"""

PREPARED = [
    "GET THANOSQL DATASET storybook OPTIONS (rows=400)",
    "GET THANOSQL MODEL storybook_clip",
    "COPY scenes FROM 'thanosql-dataset/storybook/storybook.csv'",
    "CONVERT USING storybook_clip OPTIONS (table_name='scenes') AS SELECT * FROM scenes",
    """\
CREATE VIEW cats AS
SELECT photo_id, image_path, ai_description, storybook_clip_clipen_similarity1 AS similarity,
       CASE WHEN ai_description LIKE '%night%' THEN 'night' ELSE 'day' END AS time
FROM (SEARCH IMAGE text="a cat" USING storybook_clip OPTIONS (top_k=30)
      AS SELECT * FROM scenes)""",
    """\
CREATE VIEW animals AS
SELECT *, CASE WHEN ai_description LIKE '% cat%' THEN 'cat'
               WHEN ai_description LIKE '% dog%' THEN 'dog'
               WHEN ai_description LIKE '% horse%' THEN 'horse' END AS label
FROM scenes
WHERE label IS NOT NULL""",
    "CREATE TABLE diary (day TEXT, entry TEXT)",
    "INSERT INTO diary VALUES ('monday', 'nobody is to read this')",
]

PLAIN = "SELECT count(*) AS scenes, count(storybook_clip_clipen) AS vectors FROM scenes"
VIEW = "SELECT ai_description, round(similarity, 3) AS similarity FROM cats ORDER BY 2 DESC LIMIT 3"
FUNCTIONS = """\
SELECT ai_description
FROM scenes
ORDER BY cosine_similarity(storybook_clip_clipen,
                           embed_text('storybook_clip', 'a horse on the beach')) DESC
LIMIT 5"""
SEARCH = """\
SELECT ai_description, round(storybook_clip_clipen_similarity1, 3) AS similarity
FROM (SEARCH IMAGE text="a horse on the beach" USING storybook_clip AS SELECT * FROM scenes)
ORDER BY storybook_clip_clipen_similarity1 DESC LIMIT 5"""
KOREAN = """\
SELECT ai_description
FROM (SEARCH IMAGE text="해변에 있는 말" USING storybook_clip OPTIONS (top_k=5)
      AS SELECT * FROM scenes)"""
LABELS = """\
SELECT predict_result AS label, count(*) AS pictures
FROM (PREDICT USING storybook_clip OPTIONS (labels=['cat', 'dog', 'horse'], templates=['a {}'])
      AS SELECT * FROM animals)
GROUP BY label ORDER BY pictures DESC"""
RETRIEVAL = """\
EVALUATE USING storybook_clip OPTIONS (text_col='ai_description', k=[1, 5])
AS SELECT * FROM animals"""
ZERO_SHOT = """\
EVALUATE USING storybook_clip
OPTIONS (label_col='label', labels=['cat', 'dog', 'horse'], templates=['a {}'], by_label=True)
AS SELECT * FROM animals"""
BUILD = "BUILD MODEL animal USING CLIPEn OPTIONS (label_col='label') AS SELECT * FROM animals"
PREDICTED = """\
SELECT label, predict_result, count(*) AS pictures
FROM (PREDICT USING animal AS SELECT * FROM animals)
GROUP BY label, predict_result ORDER BY label"""
READER = """\
SELECT ai_description
FROM (SEARCH IMAGE text="a dog" USING storybook_clip OPTIONS (top_k=2) AS SELECT * FROM scenes)"""


class RefusedError(Exception):
    """Superset answered other than expected."""


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--keep", metavar="FOLDER", type=Path)
    arguments.add_argument("--serve", action="store_true")
    given = arguments.parse_args()
    # A runner that gives up sends SIGTERM: Superset is stopped then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with contextlib.ExitStack() as stack:
        if given.keep is None:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        else:
            folder = given.keep.absolute()
            folder.mkdir(parents=True)
        database = prepare(folder / "photos")
        password = secrets.token_urlsafe(12)
        address = stack.enter_context(superset(folder, password))
        try:
            run(address, password, database)
        except (RefusedError, httpx.HTTPError) as error:
            print(f"\nFAILED: {error}")
            return 1
        print("\nEverything was as expected.")
        if given.serve:
            print(f"{address}  user admin, password {password}; Ctrl-C stops it")
            with contextlib.suppress(KeyboardInterrupt):
                time.sleep(24 * 3600)
    return 0


def prepare(workspace: Path) -> Path:
    """Make a database of 400 drawn pictures with vectors, a view over SEARCH, and a diary."""
    title("A database, made with the driver")
    workspace.mkdir()
    path = workspace / "photos.db"
    connection = thanosql_dbapi.connect(path, progress=False, isolation_level=None)
    for statement in PREPARED:
        print(f"> {statement}")
        connection.execute(statement).fetchall()
    connection.close()
    return path


@contextlib.contextmanager
def superset(folder: Path, password: str) -> Iterator[str]:
    """Set Superset up and run it for the time of the block; yield its address."""
    title("Superset")
    config = folder / "superset_config.py"
    config.write_text(CONFIG.format(key=secrets.token_urlsafe(42), folder=str(folder)))
    environment = {
        **os.environ,
        "SUPERSET_CONFIG_PATH": str(config),
        "SUPERSET_HOME": str(folder),
        "FLASK_APP": "superset.app:create_app()",
        "PYTHONWARNINGS": "ignore",
    }
    command = [str(Path(sys.executable).with_name("superset"))]
    with (folder / "superset.log").open("ab") as log:
        output: dict[str, Any] = {"env": environment, "stdout": log, "stderr": log, "cwd": folder}
        person = ["--username", "admin", "--firstname", "A", "--lastname", "B", "--email", "a@b.c"]
        for step in (
            ["db", "upgrade"],
            ["fab", "create-admin", *person, "--password", password],
            ["init"],
        ):
            print(f"$ superset {' '.join(step[:2])}")
            if subprocess.run([*command, *step], check=False, **output).returncode:
                raise SystemExit((folder / "superset.log").read_text()[-4000:])
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        print("$ superset run")
        server = subprocess.Popen(
            [*command, "run", "--port", str(port), "--with-threads"], **output
        )
        try:
            address = f"http://127.0.0.1:{port}"
            wait_for(server, address, folder / "superset.log")
            yield address
        finally:
            server.terminate()
            server.wait(30)


def wait_for(server: subprocess.Popen[bytes], address: str, log: Path) -> None:
    end = time.monotonic() + 180
    while time.monotonic() < end and server.poll() is None:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(f"{address}/health").status_code == 200:
                return
        time.sleep(1)
    raise SystemExit(log.read_text()[-4000:])


class Client:
    """A user of Superset's REST API."""

    def __init__(self, address: str, user: str, password: str) -> None:
        self.user = user
        self.http = httpx.Client(base_url=f"{address}/api/v1", timeout=120)
        login = {"username": user, "password": password, "provider": "db"}
        token = self.post("/security/login", login)["access_token"]
        self.http.headers["Authorization"] = f"Bearer {token}"
        self.http.headers["X-CSRFToken"] = self.get("/security/csrf_token/")["result"]
        self.http.headers["Referer"] = address

    def get(self, path: str, **parameters: Any) -> Any:
        return answer(self.http.get(path, params=parameters))

    def post(self, path: str, body: Any) -> Any:
        return answer(self.http.post(path, json=body))

    def put(self, path: str, body: Any) -> Any:
        return answer(self.http.put(path, json=body))

    def ask(self, sql: str, limit: int = 100) -> Any:
        """Run a script in SQL Lab, and print it with its result.

        Superset 6.1.0 puts its row limit in the place of a smaller LIMIT, on any SQLite database.
        """
        print(f"\n{self.user}> " + sql.replace("\n", "\n     > "))
        body = {
            "client_id": secrets.token_hex(5),
            "database_id": 1,
            "schema": "main",
            "sql": sql,
            "queryLimit": limit,
            "runAsync": False,
        }
        found = self.post("/sqllab/execute/", body)
        table(found["data"])
        return found

    def refused(self, sql: str, *expected: str) -> None:
        """Run a script that SQL Lab is to refuse."""
        try:
            self.ask(sql)
        except RefusedError as error:
            print(f"  refused: {error}")
            for words in expected:
                check(words in str(error), f"a message with {words!r}")
        else:
            raise RefusedError(f"expected a refusal of {sql}")


def run(address: str, password: str, database: Path) -> None:
    admin = Client(address, "admin", password)
    register(admin, database)
    ask(admin)
    refuse(admin)
    draw(admin)
    permit(admin, address)
    write(admin)


def register(admin: Client, database: Path) -> None:
    title("The database in Superset")
    body = {
        "database_name": "photos",
        "sqlalchemy_uri": f"thanosql:///{database}?offline=true",
        "expose_in_sqllab": True,
    }
    made = admin.post("/database/", body)
    check(made["id"] == 1, "database 1")
    found = admin.get("/database/1")["result"]
    print(f"  backend {found['backend']}, driver {found['driver']}")
    shown = admin.get("/database/1/tables/", q="(schema_name:main)")["result"]
    names = {each["value"]: each["type"] for each in shown}
    print(f"  {', '.join(f'{kind} {name}' for name, kind in sorted(names.items()))}")
    views = {"animals": "view", "cats": "view"}
    check(names == {**views, "diary": "table", "scenes": "table"}, "two views and two tables")
    columns = admin.get("/database/1/table_metadata/", name="scenes", schema="main")["columns"]
    types = {each["name"]: each["longType"] for each in columns}
    print(f"  scenes: {', '.join(f'{name} {kind}' for name, kind in types.items())}")
    check(types["storybook_clip_clipen"] == "VECTOR(128)", "a column VECTOR(128)")


def ask(admin: Client) -> None:
    title("SQL Lab: three ways to ask")
    check(admin.ask(PLAIN)["data"] == [{"scenes": 400, "vectors": 400}], "400 vectors")
    check("cat" in admin.ask(VIEW, limit=3)["data"][0]["ai_description"], "cats through the view")
    functions = [each["ai_description"] for each in admin.ask(FUNCTIONS, limit=5)["data"]]
    search = [each["ai_description"] for each in admin.ask(SEARCH, limit=5)["data"]]
    check(functions == search, "the same five from SEARCH and from the functions")
    check(all("horse" in each for each in search), "horses")
    korean = [each["ai_description"] for each in admin.ask(KOREAN)["data"]]
    check(set(korean) == set(search), "the same five in Korean")
    models = admin.ask("LIST MODEL")["data"]
    check([each["model_name"] for each in models] == ["storybook_clip"], "one model")
    title("SQL Lab: labels, and how good they are")
    labelled = admin.ask(LABELS)["data"]
    check({each["label"] for each in labelled} == {"cat", "dog", "horse"}, "three labels")
    measured = {each["metric"]: each["score"] for each in admin.ask(RETRIEVAL)["data"]}
    check(measured["text to image Recall@5"] > 0.9, "captions that find their pictures")
    by_label = admin.ask(ZERO_SHOT)["data"]
    check(len(by_label) == 3 and all(each["recall"] > 0.9 for each in by_label), "three recalls")
    title("SQL Lab: the rest")
    limited = admin.ask('SEARCH IMAGE text="a dog" USING storybook_clip AS SELECT * FROM scenes')
    check(len(limited["data"]) == 100, "the limit of 100 rows")
    vector = limited["data"][0]["storybook_clip_clipen"]
    check(vector.startswith("[") and vector.count(",") == 127, "a vector as text")
    aliased = admin.ask("SELECT storybook_clip_clipen AS v, NULL AS n FROM scenes", limit=1)
    check(len(aliased["data"]) == 1, "an aliased vector, which stays bytes")
    two = admin.ask("SELECT 1 AS one; SELECT count(*) AS models FROM (LIST MODEL); -- two")
    check(two["data"] == [{"models": 1}], "the last statement's rows")


def refuse(admin: Client) -> None:
    title("SQL Lab: refused")
    search = (
        'SELECT *\nFROM (SEARCH IMAGE text="a cat" USING storybook_clip{} AS SELECT * FROM scenes)'
    )
    admin.refused(search.format(" OPTIONS (topk=5)"), "unknown option 'topk' (line 2", "'top_k'")
    admin.refused(search.replace("storybook_clip", "other").format(""), "no model")
    into_new = "CONVERT USING storybook_clip OPTIONS (table_name='new') AS SELECT * FROM scenes"
    for statement in (
        "COPY scenes FROM 'thanosql-dataset/storybook/storybook.csv'",
        into_new,
        f"SELECT * FROM ({into_new})",
        "DELETE MODEL storybook_clip",
        BUILD,
        "GET THANOSQL DATASET storybook OPTIONS (overwrite=True)",
        "REPLACE INTO diary VALUES ('tuesday', 'more')",
        "ATTACH DATABASE 'other.db' AS other",
    ):
        admin.refused(statement, "DML")


def draw(admin: Client) -> None:
    title("A chart on the view")
    made = admin.post("/dataset/", {"database": 1, "schema": "main", "table_name": "cats"})
    query = {
        "columns": ["time"],
        "metrics": [
            {"expressionType": "SQL", "sqlExpression": "COUNT(*)", "label": "pictures"},
            {"expressionType": "SQL", "sqlExpression": "MAX(similarity)", "label": "best"},
        ],
        "orderby": [["time", True]],
        "row_limit": 10,
    }
    body = {
        "datasource": {"id": made["id"], "type": "table"},
        "queries": [query],
        "result_type": "full",
        "result_format": "json",
    }
    result = admin.post("/chart/data", body)["result"][0]
    print(f"{result['query'].strip()}")
    table(result["data"])
    check([each["time"] for each in result["data"]] == ["day", "night"], "two groups")
    samples = admin.post("/chart/data", {**body, "result_type": "samples"})["result"][0]
    check(len(samples["data"]) > 0, "sample rows")
    sql = 'SEARCH IMAGE text="a dog" USING storybook_clip AS SELECT * FROM scenes'
    virtual = {"database": 1, "schema": "main", "table_name": "dogs", "sql": sql}
    body["datasource"] = {"id": admin.post("/dataset/", virtual)["id"], "type": "table"}
    body["queries"] = [{"columns": [], "metrics": query["metrics"][:1], "row_limit": 10}]
    result = admin.post("/chart/data", body)["result"][0]
    print(f"{result['query'].strip()}")
    table(result["data"])
    check(result["data"] == [{"pictures": 400}], "a data set that is a SEARCH")
    sql = LABELS.split("FROM ", 1)[1].split("\nGROUP", 1)[0].strip("()")
    virtual = {"database": 1, "schema": "main", "table_name": "labels", "sql": sql}
    body["datasource"] = {"id": admin.post("/dataset/", virtual)["id"], "type": "table"}
    count = query["metrics"][0]
    body["queries"] = [{"columns": ["predict_result"], "metrics": [count], "row_limit": 10}]
    result = admin.post("/chart/data", body)["result"][0]
    print(f"{result['query'].strip()}")
    table(result["data"])
    check(len(result["data"]) == 3, "a chart of PREDICT's labels")


def permit(admin: Client, address: str) -> None:
    """Let a user read one data set, and see that SEARCH reads no other table."""
    title("Permissions: a user who may read the data set scenes, and nothing else")
    scenes = admin.post("/dataset/", {"database": 1, "schema": "main", "table_name": "scenes"})
    menu = f"[photos].[scenes](id:{scenes['id']})"
    wanted = permission(admin, menu)
    role = admin.post("/security/roles/", {"name": "scenes"})["id"]
    admin.post(f"/security/roles/{role}/permissions", {"permission_view_menu_ids": [wanted]})
    roles = {each["name"]: each["id"] for each in admin.get("/security/roles/")["result"]}
    person = {
        "username": "reader",
        "password": secrets.token_urlsafe(12),
        "first_name": "R",
        "last_name": "E",
        "email": "r@e.c",
        "active": True,
        "roles": [roles["Gamma"], roles["sql_lab"], role],
    }
    admin.post("/security/users/", person)
    reader = Client(address, "reader", person["password"])
    check(len(reader.ask(READER)["data"]) == 2, "two dogs")
    for sql in (
        "SELECT * FROM diary",
        READER.replace("scenes", "diary"),
        'SEARCH IMAGE text="a dog" USING storybook_clip AS SELECT * FROM scenes, diary',
        f"SELECT entry FROM diary UNION ALL {READER}",
        "EXPLAIN SELECT * FROM diary",
    ):
        reader.refused(sql, "access", "diary")
    reader.refused("LIST TABLE", "access", "sqlite_master")
    rule = {
        "name": "dogs only",
        "filter_type": "Regular",
        "tables": [scenes["id"]],
        "roles": [role],
        "clause": "ai_description LIKE '%dog%'",
    }
    admin.post("/rowlevelsecurity/", rule)
    print("\nRow level security: ai_description LIKE '%dog%'")
    cats = reader.ask(READER.replace("a dog", "a black cat").replace("top_k=2", "top_k=50"))["data"]
    check(all("dog" in each["ai_description"] for each in cats), "dogs alone")


def permission(admin: Client, menu: str) -> int:
    """Return the number of the permission to read a data set."""
    for page in range(20):
        path = "/security/permissions-resources/"
        for each in admin.get(path, q=f"(page:{page},page_size:100)")["result"]:
            if each["view_menu"]["name"] == menu:
                check(each["permission"]["name"] == "datasource_access", "access to a data set")
                return int(each["id"])
    raise RefusedError(f"expected a permission on {menu}")


def write(admin: Client) -> None:
    title("SQL Lab, with “Allow DML”")
    admin.put("/database/1", {"allow_dml": True})
    admin.ask("""COPY notes FROM '[{"note": "one"}, {"note": "two"}]'""")
    check(len(admin.ask("SELECT * FROM notes")["data"]) == 2, "two notes")
    admin.ask(BUILD)
    hits = [
        each for each in admin.ask(PREDICTED)["data"] if each["label"] == each["predict_result"]
    ]
    check(len(hits) == 3, "a classifier that was trained in SQL Lab")
    admin.refused("ATTACH DATABASE 'other.db' AS other", "not authorized", "ATTACH")
    admin.refused("VACUUM INTO 'copy.db'", "not authorized", "VACUUM")


def answer(response: httpx.Response) -> Any:
    """Return a response's JSON; raise for a refusal, with Superset's words."""
    if response.is_success:
        return response.json()
    try:
        said = response.json()
    except ValueError:
        raise RefusedError(f"{response.request.url}: {response.status_code}") from None
    errors = said.get("errors") or [said]
    raise RefusedError("; ".join(str(each.get("message", each)) for each in errors))


def check(is_so: bool, what: str) -> None:
    if not is_so:
        raise RefusedError(f"expected {what}")


def title(text: str) -> None:
    print(f"\n== {text}", flush=True)


def table(rows: list[dict[str, Any]], most: int = 5) -> None:
    """Print rows as SQL Lab shows them, the first ones and their first letters."""
    for row in rows[:most]:
        print("  " + " | ".join(f"{name}: {str(value)[:60]}" for name, value in row.items()))
    if len(rows) > most:
        print(f"  … {len(rows)} rows")


if __name__ == "__main__":
    sys.exit(main())
