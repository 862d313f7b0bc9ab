"""A small service over HTTP: python server.py MODEL [PORT]; needs `pip install fastapi uvicorn`.

    curl -N localhost:8000/chat -d '{"messages": [{"role": "user", "content": "What is 7 plus 5?"}]}' \
        -H 'content-type: application/json'

POST /chat answers with server-sent events: a {"text": ...} for each piece, and at the end a {"finish_reason": ...}. A
client that goes away ends its answer's work within a layer's time.
"""

import json
import sys
from contextlib import aclosing, asynccontextmanager
from typing import Any, AsyncGenerator, AsyncIterator, Dict, List, Type

import dormouse
from fastapi import FastAPI, HTTPException, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

# What a failure of the library says to the client; everything else is the service's own fault.
STATUS: Dict[Type[dormouse.DormouseError], int] = {
    dormouse.InvalidArgumentError: 400,
    dormouse.MalformedError: 400,  # a damaged image, for one
    dormouse.UnsupportedError: 400,
    dormouse.ContextFullError: 413,
    dormouse.OverloadedError: 503,
    dormouse.TimedOutError: 504,
}


class Chat(BaseModel):
    messages: List[Dict[str, Any]]
    max_tokens: int = 256
    temperature: float = 0
    seed: int = 0


def application(model: str) -> FastAPI:
    """The service of a model's folder, which is loaded when the service starts."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None, None]:
        # The engine computes all sessions together: batch_limit at a time, and as many more wait as queue_limit says.
        with dormouse.Engine(model, queue_limit=64) as engine:
            app.state.engine = engine
            yield

    app = FastAPI(title="Dormouse", lifespan=lifespan)

    @app.get("/info")
    def info(request: Request) -> Dict[str, Any]:
        engine: dormouse.Engine = request.app.state.engine
        return engine.info()

    @app.post("/chat")
    async def chat(request: Request, chat: Chat) -> StreamingResponse:
        pieces = answer(request.app.state.engine, chat)
        try:
            # The prompt's part of the work, which is where most failures come: they still get a status of their own.
            first = await anext(pieces)
        except dormouse.DormouseError as error:
            await pieces.aclose()
            raise HTTPException(STATUS.get(type(error), 500), error.message) from error
        return StreamingResponse(streamed(first, pieces), media_type="text/event-stream")

    return app


async def answer(engine: dormouse.Engine, chat: Chat) -> AsyncGenerator[str, None]:
    """The events of an answer as lines of the protocol.

    A session for each request costs little: what conversations begin with, their earlier turns among it, is found in
    the engine's cache.
    """
    with engine.session() as session:
        stream = session.achat(
            chat.messages, max_tokens=chat.max_tokens, temperature=chat.temperature, seed=chat.seed
        )
        async with stream:
            async for event in stream:
                if event.kind == "end":
                    yield line({"text": event.text, "finish_reason": event.finish_reason})
                elif event.text or event.kind == "prompt":
                    yield line({"text": event.text})


async def streamed(first: str, others: AsyncGenerator[str, None]) -> AsyncIterator[str]:
    async with aclosing(others):
        yield first
        try:
            async for other in others:
                yield other
        except dormouse.DormouseError as error:
            # The status is long sent: the stream says what went wrong.
            yield line({"error": error.message})


def line(content: Dict[str, Any]) -> str:
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n"


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(application(sys.argv[1]), port=int(sys.argv[2]) if len(sys.argv) > 2 else 8000)
