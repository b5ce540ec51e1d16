"""What a request must bring, and how long it may take."""

import json
import re
import socket
import time

import pytest

pytest.importorskip("starlette", reason="starlette is not installed")
pytest.importorskip("uvicorn", reason="uvicorn is not installed")
from hudd.server import connection, guard

pytestmark = pytest.mark.slow

TOKEN, NONE = "right-token", {"X-Hudd-Token": ""}


@pytest.mark.parametrize("path", ["/", "/label", "/notes", "/labels", "/picture/error/0", "/nowhere"])
def test_no_token_no_answer(client, path):
    for headers in (NONE, {"X-Hudd-Token": "wrong"}, {"X-Hudd-Token": "é".encode()}):
        assert client.get(path, headers=headers).status_code == 403
    cookies = (f"hudd-{client.port}=wrong", f"hudd={TOKEN}", f"hudd-{client.port + 1}={TOKEN}", "=", ";;")
    for cookie in cookies:
        assert client.get(path, headers={**NONE, "Cookie": cookie}).status_code == 403
    for query in ("token=wrong", "token=", f"token=wrong&token={TOKEN}x", "token=%ff"):
        assert client.get(f"{path}?{query}", headers=NONE).status_code == 403
    assert client.put("/labels/0", headers=NONE, json={"label": 1}).status_code == 403


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:{port}", "127.0.0.1:9", "127.0.0.1", "localhost.evil:{port}", ""]
)
def test_foreign_host_is_refused(client, host):
    assert client.get("/notes", headers={"Host": host.format(port=client.port)}).status_code == 421


def test_own_names_are_answered(client):
    for host in ("127.0.0.1", "localhost", "LOCALHOST"):
        assert client.get("/notes", headers={"Host": f"{host}:{client.port}"}).status_code == 200


@pytest.mark.parametrize("path", ["/", "/label"])
def test_the_token_leaves_the_address(client, path):
    moved = client.get(f"{path}?token={TOKEN}", headers=NONE)
    assert (moved.status_code, moved.headers["location"]) == (303, path)
    cookie, *attributes = re.split("; ", moved.headers["set-cookie"])
    assert {one.lower() for one in attributes} == {"httponly", "path=/", "samesite=strict"}
    assert TOKEN not in moved.text
    page = client.get(path, headers={**NONE, "Cookie": f"other=1; {cookie}"})
    assert page.status_code == 200
    assert TOKEN not in page.text
    again = client.get(f"{path}?token={TOKEN}", headers={**NONE, "Cookie": cookie})
    assert again.status_code == 303  # an address that is opened once more loses its token, too


@pytest.mark.parametrize("path", ["/notes", "//evil.example", "/nowhere", "/labels"])
def test_an_address_opens_pages_alone(client, path):
    answer = client.get(f"{path}?token={TOKEN}", headers=NONE)
    assert answer.status_code == 403
    assert "location" not in answer.headers
    assert client.put(f"/labels/0?token={TOKEN}", headers=NONE, json={}).status_code == 403


OWN, OTHER = "http://127.0.0.1:{port}", "http://127.0.0.1:9"
CHANGES = {
    # what a browser tells of where a request comes from: whether it is taken with the cookie, and with the header
    "own page": ({"Origin": OWN, "Sec-Fetch-Site": "same-origin"}, True, True),
    "own page of an older browser": ({"Origin": OWN}, True, True),
    "own page, nothing but the site told": ({"Sec-Fetch-Site": "same-origin"}, True, True),
    "no browser": ({}, False, True),
    "another server of this machine": ({"Origin": OTHER, "Sec-Fetch-Site": "same-site"}, False, False),
    "another site": ({"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}, False, False),
    "another name of this server": ({"Origin": "http://localhost:{port}"}, False, False),
    "another scheme": ({"Origin": "https://127.0.0.1:{port}"}, False, False),
    "longer name": ({"Origin": OWN + ".evil.example"}, False, False),
    "a page without origin": ({"Origin": "null"}, False, False),
    "empty": ({"Origin": ""}, False, False),
    "site alone": ({"Sec-Fetch-Site": "cross-site"}, False, False),
    "typed address": ({"Sec-Fetch-Site": "none"}, False, False),
    "contradiction": ({"Origin": OWN, "Sec-Fetch-Site": "cross-site"}, False, False),
}


@pytest.mark.parametrize("name", CHANGES)
def test_changes_come_from_own_pages(client, study, name):
    told, *taken = CHANGES[name]
    told = {key: value.format(port=client.port) for key, value in told.items()}
    bring = ({**NONE, "Cookie": f"hudd-{client.port}={TOKEN}"}, {"X-Hudd-Token": TOKEN})
    for headers, expected in zip(bring, taken):
        for method, path, content in (
            ("PUT", "/labels/0", {"label": 1, "was": -1}),
            ("POST", "/clusters/split", {"cluster": 1, "revision": client.revision()}),
            ("PUT", "/notes/2", {"name": "x", "was": {"name": ""}, "revision": client.revision()}),
        ):
            answer = client.ask(method, path, headers={**headers, **told}, json=content)
            assert (answer.status_code == 403) == (not expected), (method, path)
            assert expected or "own pages alone" in answer.text
        assert client.get("/notes", headers={**headers, **told}).status_code == 200
        for file in ("labels.csv", "review.jsonl"):
            assert (study.path / file).exists() == expected
            (study.path / file).unlink(missing_ok=True)


def test_pages_of_others_get_no_pictures(client):
    headers = client.get("/picture/error/0").headers
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["x-frame-options"] == "DENY"


def chunked(content, size=8192):
    parts = [content[at : at + size] for at in range(0, len(content), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def raw(client, content, seconds=600):
    """Send bytes and return all that is answered until the server closes the connection."""
    with socket.create_connection(("127.0.0.1", client.port), timeout=seconds) as stream:
        stream.sendall(content)
        found = b""
        while part := stream.recv(1 << 16):
            found += part
        return found


def head(client, *more, method="PUT", path="/labels/0"):
    lines = (f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{client.port}", f"X-Hudd-Token: {TOKEN}", *more)
    return "\r\n".join((*lines, "Connection: close", "", "")).encode()


def test_bodies_are_limited_however_they_come(client, study):
    long = json.dumps({"label": 1, "was": -1, "more": "x" * guard.LONGEST_BODY}).encode()
    short = json.dumps({"label": 1, "was": -1}).encode()
    assert client.put("/labels/0", content=long).status_code == 413
    assert raw(client, head(client, "Transfer-Encoding: chunked") + chunked(long)).startswith(b"HTTP/1.1 413")
    assert not (study.path / "labels.csv").exists()
    taken = raw(client, head(client, "Transfer-Encoding: chunked") + chunked(short, 5))
    assert taken.startswith(b"HTTP/1.1 200")
    assert (study.path / "labels.csv").exists()


@pytest.mark.parametrize("length", ["-1", "1e3", "x", "", "9" * 5000, "1, 2"])
def test_odd_lengths_are_refused(client, length):
    assert re.match(rb"HTTP/1\.1 4(00|13) ", raw(client, head(client, f"Content-Length: {length}")))


def ended(client, begin, then=b"", every=0.1, most=120):
    """Send something, then more and more; return how long the connection lasts and what was answered."""
    started, found = time.monotonic(), b""
    with socket.create_connection(("127.0.0.1", client.port), timeout=every) as stream:
        stream.sendall(begin)
        while time.monotonic() - started < most:
            try:
                if not (part := stream.recv(4096)):
                    break
                found += part
            except TimeoutError:
                try:
                    stream.sendall(then)
                except OSError:
                    break
            except OSError:
                break
        return time.monotonic() - started, found


@pytest.mark.timing
def test_half_open_connections_end(client, monkeypatch):
    monkeypatch.setattr(connection, "SECONDS", 0.5)
    monkeypatch.setattr(guard, "BODY_SECONDS", 0.7)
    body = head(client, "Content-Length: 1000")
    cases = {
        "nothing": (b"", b""),
        "half a head": (body[:40], b""),
        "a head byte by byte": (body[:-2], b"X"),
        "half a body": (body + b"{", b""),
        "a body byte by byte": (body + b"{", b"x"),
        "chunks without end": (head(client, "Transfer-Encoding: chunked"), b"1\r\nx\r\n"),
        "nothing after an answer": (head(client, method="GET", path="/notes").replace(b"close", b"keep-alive"), b""),
        "half a head after one": (head(client, method="GET", path="/notes").replace(b"close", b"keep-alive"), b"G"),
        "a body that nobody reads": (
            head(client, "Content-Length: 60000", method="GET", path="/notes").replace(b"close", b"keep-alive"),
            b"x",
        ),
    }  # fmt: skip
    for name, (begin, then) in cases.items():
        seconds, answer = ended(client, begin, then)
        assert seconds < 120, name
        assert not answer or answer.startswith((b"HTTP/1.1 408", b"HTTP/1.1 200")), name
        assert ("body b" in name or "half a body" in name or "chunks" in name) == (b"408" in answer), name
    assert client.get("/notes").status_code == 200


@pytest.mark.timing
def test_an_answer_that_nobody_reads_ends(client, monkeypatch):
    monkeypatch.setattr(connection, "SECONDS", 0.3)
    with socket.socket() as stream:
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stream.connect(("127.0.0.1", client.port))
        request = head(client, method="GET", path="/").replace(b"close", b"keep-alive")
        stream.sendall(request * 60)
        time.sleep(4)
        stream.settimeout(600)
        found = b""
        try:
            while part := stream.recv(1 << 16):
                found += part
        except ConnectionResetError:
            pass
    assert found.count(b"HTTP/1.1 200") < 60


@pytest.mark.timing
def test_a_long_answer_is_waited_for(client, study, monkeypatch):
    monkeypatch.setattr(connection, "SECONDS", 0.2)
    source = study.source("test")
    monkeypatch.setattr(study, "source", lambda split: time.sleep(1.5) or source)
    assert client.get("/picture/error/0").status_code == 200
