"""Two sessions that share a beginning, and a fork that asks something else: python branches.py MODEL"""

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Sequence

from dormouse import Answer, Engine, Message, Session

# What every session of an application begins with: instructions, examples, a document.
EXAMPLES = [
    ("What is 1 plus 5?", "1 plus 5 is 6."), ("What is 5 plus 9?", "5 plus 9 is 14."),
    ("What is 4 plus 7?", "4 plus 7 is 11."),
]
BEGINNING: Sequence[Message] = [
    {"role": role, "content": text} for pair in EXAMPLES for role, text in zip(["user", "assistant"], pair)
]


def ask(session: Session, question: str, earlier: Sequence[Message] = ()) -> Answer:
    messages = [*BEGINNING, *earlier, {"role": "user", "content": question}]
    return session.chat(messages, max_tokens=40, stream=False)


def tell(question: str, answer: Answer) -> None:
    end = answer.end
    assert end is not None  # an answer that was read to its end has one
    print(f"{question}  {answer.text}")
    print(f"  of {end.prompt_tokens} tokens, another session had computed {end.prompt_shared}", end="")
    print(f", this one {end.prompt_reused}")


def main() -> None:
    with Engine(sys.argv[1]) as engine:
        with engine.session() as first:
            question = "What is 7 plus 5?"
            answer = ask(first, question)
            tell(question, answer)
            with engine.session() as second:  # finds the pages of the beginning
                tell("What is 2 plus 5?", ask(second, "What is 2 plus 5?"))

            # A fork holds all that the first one holds, and no page is copied; both go on at the same time.
            earlier = [{"role": "user", "content": question}, {"role": "assistant", "content": answer.text}]
            questions = ["What is 9 plus 4?", "What is 6 plus 6?"]
            with first.fork() as fork, ThreadPoolExecutor(2) as pool:
                for pair in zip(questions, pool.map(ask, [first, fork], questions, [earlier, earlier])):
                    tell(*pair)
        cache = engine.statistics()["cache"]["f32"]
        print(f"{cache['tokens_found']} tokens of prompts were found, {cache['prefix_pages']} pages are kept")


main()
