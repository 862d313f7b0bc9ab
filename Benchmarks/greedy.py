#!/usr/bin/env python3
"""Compares greedy tokens of the benchmark's random model with those of transformers in float32.

The reference reads the bf16 weights and computes in float32 with eager attention and experts; Dormouse runs the same
numbers from a folder in bf16 and from one in float32. Prompts are random tokens; end tokens do not end an answer.
Random weights leave small margins between the best token and the next: a difference is told with the margin that the
reference had there, so that a wrong result can be told from a choice that float32 cannot make.

Needs torch and transformers (requirements-greedy.txt), which nothing else here does.
"""

import argparse
import gc
import random
import sys
from dataclasses import dataclass
from pathlib import Path

import bench_model
import machine
import model_writer
import report

HERE = Path(__file__).resolve().parent
BUILD = HERE.parent / ".build"
FOLDERS = ("bf16", "f32")  # of the weights


@dataclass(frozen=True)
class Answer:
    """What the reference chose after a prompt, and how clearly: (best - next) / largest magnitude of the logits."""

    prompt: list[int]
    tokens: list[int]
    margins: list[float]


@dataclass(frozen=True)
class Outcome:
    """One way to run Dormouse against the answers to all prompts."""

    weights: str
    instruction_set: str
    equal: int  # tokens before the first difference of each prompt, summed
    total: int
    differences: list[str]  # one for each prompt that has any


def compare(weights: str, instruction_set: str, found: list[list[int]], answers: list[Answer]) -> Outcome:
    """found: the tokens for each of `answers`."""
    equal, differences = 0, []
    for number, (tokens, answer) in enumerate(zip(found, answers, strict=True)):
        same = next(
            (i for i, pair in enumerate(zip(tokens, answer.tokens)) if pair[0] != pair[1]),
            min(len(tokens), len(answer.tokens)),
        )  # fmt: skip
        equal += same
        if tokens != answer.tokens:
            margin = answer.margins[same] if same < len(answer.margins) else None
            words = "" if margin is None else f", where the reference's margin is {margin:.1e}"
            differences.append(f"prompt {number} ({len(answer.prompt)} tokens): differs from token {same} on{words}")
    return Outcome(weights, instruction_set, equal, sum(len(answer.tokens) for answer in answers), differences)


def table(outcomes: list[Outcome]) -> str:
    rows = [
        [outcome.weights, outcome.instruction_set, f"{outcome.equal} of {outcome.total}"] for outcome in outcomes
    ]  # fmt: skip
    return report.table(["weights", "instruction set", "equal tokens"], rows)


def prompts(lengths: list[int], vocabulary: int) -> list[list[int]]:
    """The same in every run; without the two control tokens."""
    generator = random.Random(17)
    return [[generator.randrange(2, vocabulary) for _ in range(length)] for length in lengths]


def write_models(models: Path, shape: bench_model.Shape) -> dict[str, Path]:
    """The folders by the type of their weights; those that are missing are written."""

    def tell(part: str) -> None:
        print(f"writing the models: {part}", file=sys.stderr)

    model_writer.write_missing(models, shape, ["bf16"], tell)
    bf16 = model_writer.path_of(models, shape.layers, "bf16")
    wide = bf16.with_name("f32")
    if not wide.exists():
        with model_writer.unfinished(wide) as unfinished:
            target = model_writer.RoundedFolder(unfinished / "f32", shape, lambda matrix: matrix)
            model_writer.write_all(shape, [target], [], tell)
            (unfinished / "f32").rename(wide)
    return {"bf16": bf16, "f32": wide}


def reference_answers(folder: Path, asked: list[list[int]], count: int) -> list[Answer]:
    """Those of transformers in float32."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", experts_implementation="eager"
    ).eval()  # fmt: skip
    answers = []
    with torch.no_grad():
        for prompt in asked:
            tokens, margins = [], []
            out = model(torch.tensor([prompt]), use_cache=True)
            while True:
                logits = out.logits[0, -1]
                best, following = torch.topk(logits, 2).values.tolist()
                margins.append((best - following) / float(logits.abs().max()))
                tokens.append(int(logits.argmax()))
                if len(tokens) == count:
                    break
                out = model(torch.tensor([tokens[-1:]]), past_key_values=out.past_key_values, use_cache=True)
            answers.append(Answer(prompt, tokens, margins))
    return answers


def dormouse_answers(folder: Path, asked: list[list[int]], count: int, threads: int) -> list[list[int]]:
    """Those of Dormouse with the instruction set that is forced."""
    from dormouse import Engine

    found = []
    with Engine(folder, threads=threads) as engine:
        for prompt in asked:
            with engine.session(context_length=len(prompt) + count) as session:
                answer = session.generate(prompt, stream=False, max_tokens=count, ignore_eos=True)
                found.append(list(answer.tokens))
    return found


def measure(arguments: argparse.Namespace, shape: bench_model.Shape) -> tuple[list[Answer], list[Outcome]]:
    sys.path.insert(0, str(HERE.parent / "bindings" / "python" / "src"))
    from dormouse import force_instruction_set, instruction_sets

    folders = write_models(arguments.models, shape)
    asked = prompts(arguments.prompts, shape.vocabulary)
    print("computing the reference", file=sys.stderr)
    answers = reference_answers(folders["bf16"], asked, arguments.tokens)
    gc.collect()  # the reference's weights
    sets = instruction_sets()
    outcomes = []
    for name in reversed(sets.usable) if arguments.every_set else [sets.chosen]:
        force_instruction_set(name)
        for weights in FOLDERS:
            print(f"running {weights} weights on {name}", file=sys.stderr)
            found = dormouse_answers(folders[weights], asked, arguments.tokens, arguments.threads)
            outcomes.append(compare(weights, name, found, answers))
    return answers, outcomes


def parse(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=2, help="of the model; default 2: 5 GB of disk, 8 of memory")
    parser.add_argument("--tokens", type=int, default=64, help="of each answer; default 64")
    parser.add_argument("--prompts", type=int, nargs="+", default=[1, 7, 50, 200], help="their lengths")
    parser.add_argument("--threads", type=int, default=min(2, machine.threads()))
    parser.add_argument("--every-set", action="store_true", help="on every instruction set, not the best alone")
    parser.add_argument("--models", type=Path, default=BUILD / "benchmarks" / "models", help="where models are kept")
    arguments = parser.parse_args(words)
    if min(arguments.layers, arguments.tokens, arguments.threads, *arguments.prompts) < 1:
        parser.error("--layers, --tokens, --prompts and --threads must be at least 1")
    return arguments


def main() -> int:
    arguments = parse()
    shape = bench_model.Shape(layers=arguments.layers)
    size = bench_model.parameter_count(shape)
    present = model_writer.path_of(arguments.models, arguments.layers, "bf16").with_name("f32").exists()
    # The reference holds float32, and while it loads a layer's experts twice; Dormouse comes after it.
    reason = machine.shortage(arguments.models, 0 if present else 6 * size, 8 * size)
    if reason:
        print(f"greedy: {reason}", file=sys.stderr)
        return 1
    answers, outcomes = measure(arguments, shape)
    print(table(outcomes))
    least = min(margin for answer in answers for margin in answer.margins)
    different = len({token for answer in answers for token in answer.tokens})
    print(f"\nthe reference: {different} different tokens; least margin between the best one and the next: ", end="")
    print(f"{least:.1e} of the largest logit")
    for outcome in outcomes:
        for difference in outcome.differences:
            print(f"{outcome.weights}, {outcome.instruction_set}: {difference}")
    return 1 if any(outcome.differences for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
