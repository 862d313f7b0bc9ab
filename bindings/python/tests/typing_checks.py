"""For type checkers alone (Tests/steps/python-types.sh): what calls give, and which options they take.

Each `type: ignore` marks a fault that a checker must find: one that it does not find is reported as unused.
"""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Dict, List, Optional, Union

import dormouse
import pydantic
from dormouse import Answer, AsyncStream, Engine, Event, GenerationOptions, Session, Stream

if sys.version_info >= (3, 11):
    from typing import assert_type
else:
    from typing_extensions import assert_type


@dataclass
class Point:
    x: int


def answers(session: Session, is_stream: bool) -> None:
    messages = [{"role": "user", "content": "What is 7 plus 5?"}]
    assert_type(session.chat(messages), Stream)
    assert_type(session.chat("a text", stream=True), Stream)
    assert_type(session.chat(messages[0], stream=False, max_tokens=3), Answer)
    assert_type(session.chat(messages, stream=is_stream), Union[Stream, Answer])
    assert_type(session.generate(), Stream)
    assert_type(session.generate([1, 2], stream=False), Answer)
    assert_type(session.generate("a text", stream=is_stream), Union[Stream, Answer])
    assert_type(session.achat(messages), AsyncStream)
    assert_type(session.agenerate("a text"), AsyncStream)
    assert_type([event for event in session.chat("a text")], List[Event])
    assert_type(session.chat("a text").text(), str)
    assert_type(session.chat("a text", constraint=Point).answer().parsed, Any)


def options(session: Session) -> None:
    session.chat(
        "a text", max_tokens=1, temperature=0.5, top_k=1, top_p=1, min_p=0, repetition_penalty=1, presence_penalty=0,
        frequency_penalty=0, logit_bias={5: 1.0}, seed=1, stop=["x"], stop_token_ids=[1], logprobs=-1,
        logprobs_of="sampled", ignore_eos=True, priority=1, time_limit=3.5, tools=None, add_generation_prompt=True, continue_final_message=False,
        chat_template="tool_use", template_variables={"thinking": True},
    )
    shared: GenerationOptions = {"max_tokens": 3, "stop": "x", "logit_bias": {"5": 1}}
    session.generate("a text", stream=False, **shared)
    session.chat("a text", constraint={"regex": "a"}, response_format={"type": "text"})
    session.achat("a text", constraint=Point)
    session.generate("a text", response_format=List[int])
    session.chat("a text", constraint=pydantic.TypeAdapter(Union[int, str]))
    session.chat("a text", constraint="a")  # type: ignore[call-overload]
    session.chat("a text", max_token=3)  # type: ignore[call-overload]
    session.chat("a text", seed="1")  # type: ignore[call-overload]
    session.generate("a text", tools=[])  # type: ignore[call-overload]
    session.achat("a text", stream=False)  # type: ignore[call-arg]


async def events(session: Session) -> None:
    async for event in session.achat("a text"):
        assert_type(event, Event)
    assert_type(await session.agenerate([1]).answer(), Answer)
    assert_type(await session.achat("a text").text(), str)


def engines(path: Path) -> None:
    with Engine(path, weights="int8", media={"roots": [path], "max_pixels": 3}) as engine:
        assert_type(engine.plan(context_length=3, cache="bf16"), Dict[str, int])
        assert_type(engine.render_messages("a text", tools=[]), str)
        assert_type(engine.vocabulary_size, int)
        engine.embed(["a text", [1, 2]], pooling="mean", normalize=True, priority=1, time_limit=3.5)
        engine.embed(["a text"], pooling="max")  # type: ignore[arg-type]
        with engine.session(overflow="slide") as session:
            assert_type(session, Session)
    Engine(path, generation_defaults={"temperature": 0.5, "stop": ["x"]})
    Engine(path, weights="int3")  # type: ignore[arg-type]
    engine.plan(context="3")  # type: ignore[call-arg]


def transcripts(path: Path) -> None:
    with dormouse.Transcriber(path) as transcriber:
        assert_type(transcriber.transcribe(path, language="de", task="translate").text, str)
        assert_type(transcriber.transcribe(path).language, Optional[str])
        transcriber.transcribe(path, task="sing")  # type: ignore[arg-type]
