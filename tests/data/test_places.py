"""Files here and behind URLs."""

import functools
import http.server
import threading

import numpy as np
import pytest

from hudd.data import open_source
from hudd.data.places import Place, expand
from hudd.errors import UsageError
from tests.data.packing import jpeg, table, tar

MEMBERS = [
    (f"{name}/{number}.jpg", jpeg(number + 9 * (name == "dog")))
    for name in ("cat", "dog")
    for number in range(4)
]


class Ranges(http.server.SimpleHTTPRequestHandler):
    """Serves files, and parts of them."""

    asked = []  # noqa: RUF012

    def log_message(self, *_):
        """Say nothing."""

    def do_GET(self):
        asked = self.headers.get("Range")
        path = self.translate_path(self.path)
        self.asked.append((self.path, asked))
        if not asked:
            return super().do_GET()
        try:
            with open(path, "rb") as file:  # noqa: PTH123
                content = file.read()
        except OSError:
            return self.send_error(404)
        start, _, stop = asked.removeprefix("bytes=").partition("-")
        part = content[int(start) : int(stop) + 1 if stop else None]
        self.send_response(206)
        self.send_header("Content-Length", str(len(part)))
        self.send_header("Content-Range", f"bytes {start}-{int(start) + len(part) - 1}/{len(content)}")
        self.end_headers()
        return self.wfile.write(part)

    def do_HEAD(self):
        super().do_HEAD()

    def end_headers(self):
        self.send_header("Accept-Ranges", "bytes")
        super().end_headers()


@pytest.fixture
def served(tmp_path):
    """A folder, and the URL by which it is served."""
    folder = tmp_path / "served"
    folder.mkdir()
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Ranges, directory=str(folder))
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def memory():
    """fsspec's file system in memory."""
    system = pytest.importorskip("fsspec").filesystem("memory")
    yield system
    system.rm("/", recursive=True)


def packed(folder):
    tar(folder / "a-000.tar", MEMBERS[:3])
    tar(folder / "a-001.tar", MEMBERS[3:])
    return open_source(f"{folder}/a-*.tar")


def assert_same(one, other):
    one.check()
    assert list(one.paths) == list(other.paths)
    assert one.fingerprint() == other.fingerprint()
    np.testing.assert_array_equal(one.load([7, 0, 3, 2]).numpy(), other.load([7, 0, 3, 2]).numpy())


@pytest.mark.parametrize("spec", ["a-*.tar", "a-{000..001}.tar"])
def test_archives_in_memory(tmp_path, memory, spec):
    here = packed(tmp_path)
    for name in ("a-000.tar", "a-001.tar"):
        memory.pipe(f"/set/{name}", (tmp_path / name).read_bytes())
    assert_same(open_source(f"memory://set/{spec}"), here)


def test_tables_in_memory(tmp_path, memory):
    pq = pytest.importorskip("pyarrow.parquet")
    names, contents = zip(*MEMBERS)
    pq.write_table(
        table(names, contents, label=[0] * 4 + [1] * 4, label_names=["cat", "dog"]), tmp_path / "a.parquet"
    )
    memory.pipe("/set/a.parquet", (tmp_path / "a.parquet").read_bytes())
    assert_same(open_source("memory://set/*.parquet"), packed(tmp_path))


def test_archives_of_a_server(served):
    pytest.importorskip("aiohttp")
    folder, url = served
    here = packed(folder)
    for spec in ("a-{000..001}.tar", "a-*.tar"):
        assert_same(open_source(f"{url}/{spec}"), here)
    Ranges.asked.clear()
    open_source(f"{url}/a-001.tar").load([0, 1, 2])
    assert (
        len([1 for path, asked in Ranges.asked if asked]) <= 2
    )  # the pass over it, and the images in one turn


def test_what_is_not_there(served, memory):
    pytest.importorskip("aiohttp")
    _, url = served
    for spec in (f"{url}/none.tar", "memory://none.tar"):
        with pytest.raises(UsageError, match=r"there is no file '.*none.tar', or its server"):
            open_source(spec)
    with pytest.raises(UsageError, match="there is no file like"):
        open_source("memory://none-*.tar")
    with pytest.raises(UsageError, match="not read from a URL"):
        open_source(f"{url}/images")
    with pytest.raises(UsageError, match=r"127.0.0.1:9/a.tar', or its server cannot be reached"):
        open_source("http://127.0.0.1:9/a.tar")
    with pytest.raises(UsageError, match=r"nosuch://x/a.tar' cannot be read"):
        open_source("nosuch://x/a.tar")


@pytest.mark.parametrize("protocol", ["s3", "gs"])
def test_what_needs_more_than_is_installed(protocol):
    import importlib.util

    if importlib.util.find_spec({"s3": "s3fs", "gs": "gcsfs"}[protocol]):
        pytest.skip("it is installed")
    with pytest.raises(UsageError, match=rf"pip install '\.\[{protocol}\]'"):
        open_source(f"{protocol}://bucket/a.tar")


def test_patterns(tmp_path):
    for name in ("a-1.tar", "a-2.tar", "b-1.tar", "{x}.tar"):
        (tmp_path / name).touch()
    assert expand(f"{tmp_path}/{{x}}.tar") == [f"{tmp_path}/{{x}}.tar"]
    assert expand(f"{tmp_path}/{{b,a}}-*.tar") == [f"{tmp_path}/{name}.tar" for name in ("b-1", "a-1", "a-2")]
    assert expand("x-{08..11}.{tar,zip}")[:3] == ["x-08.tar", "x-08.zip", "x-09.tar"]
    with pytest.raises(UsageError, match="more than 100,000 files"):
        expand("{0..999}{0..999}")


def test_reading_behind_the_end_gives_what_there_is(tmp_path):
    (tmp_path / "a").write_bytes(b"0123456789")
    assert Place(str(tmp_path / "a")).read(8, 10) == b"89"
