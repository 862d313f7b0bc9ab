"""The example of a service (examples/python/server.py): answers as server-sent events, statuses, clients that leave."""

import asyncio
import importlib.util
import json
import time

import pytest
from conftest import REPOSITORY

testclient = pytest.importorskip("fastapi.testclient")
QUESTION = [{"role": "user", "content": "What is 7 plus 5?"}]
ANSWER = "7 plus 5 is 12."


@pytest.fixture(scope="module")
def app(tiny_path):
    path = REPOSITORY / "examples" / "python" / "server.py"
    spec = importlib.util.spec_from_file_location("dormouse_example_server", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.application(str(tiny_path))


@pytest.fixture(scope="module")
def client(app):
    with testclient.TestClient(app) as client:
        yield client


def events(text):
    return [json.loads(line[len("data: ") :]) for line in text.splitlines() if line]


def test_answers(client):
    assert client.get("/info").json()["model_type"] == "deepseek_v3"
    response = client.post("/chat", json={"messages": QUESTION})
    assert response.status_code == 200 and response.headers["content-type"].startswith("text/event-stream")
    told = events(response.text)
    assert "".join(event["text"] for event in told) == ANSWER
    assert [event.get("finish_reason") for event in told[-2:]] == [None, "stop"]


@pytest.mark.parametrize(
    ("body", "status", "fragment"),
    [
        ({"messages": []}, 400, "messages"),
        ({"messages": QUESTION, "temperature": -1}, 400, "temperature"),
        ({"messages": [{"role": "user", "content": "plus " * 5000}]}, 413, "more than the session's"),
        ({"messages": "x"}, 422, ""),
    ],
)
def test_what_is_wrong_has_a_status(client, body, status, fragment):
    response = client.post("/chat", json=body)
    assert response.status_code == status and fragment in str(response.json()["detail"])


class Endless:
    """An engine whose answers never end by themselves."""

    def __init__(self, engine):
        self.engine = engine

    def session(self):
        session = self.engine.session(context_length=128, overflow="slide")
        chat = session.achat
        session.achat = lambda messages, **options: chat(messages, ignore_eos=True, **options)
        return session


def test_a_client_that_goes_away_ends_its_work(app, client, monkeypatch):
    """By ASGI itself: the client reads a little, and is gone."""
    engine = app.state.engine
    monkeypatch.setattr(app.state, "engine", Endless(engine))
    body = json.dumps({"messages": QUESTION, "max_tokens": 1 << 30, "temperature": 5.0}).encode()
    before = engine.statistics()["sessions"]

    async def main():
        sent = []
        gone = asyncio.Event()
        request = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive():
            if request:
                return request.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            sent.append(message)
            if len(sent) == 4:
                gone.set()

        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "path": "/chat",
            "raw_path": b"/chat", "query_string": b"", "headers": [(b"content-type", b"application/json")],
            "client": ("test", 1), "server": ("test", 2), "scheme": "http", "root_path": "",
        }
        await asyncio.wait_for(app(scope, receive, send), 60)
        assert sent[0]["status"] == 200 and b"data: " in sent[1]["body"]

    asyncio.run(main())
    end = time.monotonic() + 60
    while (now := engine.statistics()["sessions"])["working"]:
        assert time.monotonic() < end
        time.sleep(0.002)
    assert now["entered"] == before["entered"] + 1
