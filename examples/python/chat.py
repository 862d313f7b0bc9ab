"""Chats with a model folder: python chat.py MODEL [QUESTION...]; without questions, it reads them from you."""

import sys
from typing import Dict, Iterator, List

from dormouse import Engine, Session


def answer(session: Session, messages: List[Dict[str, str]]) -> None:
    """Prints the answer as it comes, and adds it to the messages."""
    text = ""
    for event in session.chat(messages, max_tokens=100):
        print(event.text, end="", flush=True)
        text += event.text
    print()
    messages.append({"role": "assistant", "content": text})


def questions() -> Iterator[str]:
    if len(sys.argv) > 2:
        yield from sys.argv[2:]
    else:
        yield from (line.strip() for line in sys.stdin)


def main() -> None:
    with Engine(sys.argv[1]) as engine, engine.session() as session:
        messages: List[Dict[str, str]] = []
        for question in questions():
            # The session keeps what it has read: each turn computes what is new alone.
            messages.append({"role": "user", "content": question})
            answer(session, messages)


main()
