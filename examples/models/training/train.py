"""Trains dormouse-tiny from scratch, or resumes a checkpoint.

    python train.py --steps 2000 --until 1600 --out run

The rate warms up, stays, and falls along a cosine over the last 45 % of the steps. Step k draws its
conversations from a generator seeded with k, so a resumed run equals an uninterrupted one, and a run may be resumed
with another number of steps as long as its fall has not begun.
"""

import argparse
import json
import math
import random
import time
from pathlib import Path

import torch
import torch.nn.functional as F

from data import held_out_questions, training_conversation
from model import BOS, EOS, Balancer, Packing, make_model
from tokenizer import ASSISTANT, USER, train_tokenizer, write

TOKENS_PER_STEP = 6144
PEAK_RATE = 3e-3
WARMUP_STEPS = 150
FALL_SHARE = 0.45
BALANCE_RATE = 0.002
FIRST_BALANCE_RATE = 0.03  # while warming up, when loads are most uneven
WEIGHT_DECAY = 0.05


class Encoder:
    """Conversations to token ids and the mask of the tokens that the assistant says."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        self.user, self.assistant = tokenizer.token_to_id(USER), tokenizer.token_to_id(ASSISTANT)

    def conversation(self, system, turns):
        """ids, said: said[i] is true where ids[i] is a token of an answer or its end mark."""
        ids, said = [BOS], [False]
        if system:
            self._extend(ids, said, self.tokenizer.encode(system).ids, False)
        for turn in turns:
            prompt = [self.user, *self.tokenizer.encode(turn.prompt).ids, self.assistant]
            self._extend(ids, said, prompt, False)
            self._extend(ids, said, [*self.tokenizer.encode(turn.answer).ids, EOS], True)
        return ids, said

    @staticmethod
    def _extend(ids, said, more, value):
        ids += more
        said += [value] * len(more)


def by_length(document):
    return len(document[0])


def pack(documents):
    """Documents in order of length as one row: ids, packing, the positions before said tokens, and those tokens."""
    ids = torch.tensor([i for document, _ in documents for i in document])
    said = torch.tensor([s for _, mask in documents for s in mask])
    packing = Packing(torch.tensor([len(document) for document, _ in documents]))
    targets = said.nonzero()[:, 0]
    return ids, packing, targets - 1, ids[targets]


def training_batch(encoder, step):
    rng = random.Random(f"dormouse {step}")
    documents, tokens = [], 0
    while tokens < TOKENS_PER_STEP:
        documents.append(encoder.conversation(*training_conversation(rng)))
        tokens += len(documents[-1][0])
    return pack(sorted(documents, key=by_length))


def predict(model, ids, packing, positions):
    """Logits at the given positions of a packed row."""
    with torch.autocast("cpu", torch.bfloat16):
        hidden = model.model(
            input_ids=ids[None], position_ids=packing.position_ids[None], packing=packing, use_cache=False
        ).last_hidden_state[0]
        return model.lm_head(hidden[positions]).float()


@torch.no_grad()
def examine(model, encoder, questions):
    """Share of the held-out answers that greedy decoding gets exactly right, by task."""
    documents = [(*encoder.conversation(None, [question]), question.task) for question in questions]
    documents.sort(key=by_length)
    ids, packing, positions, targets = pack([document[:2] for document in documents])
    hit = predict(model, ids, packing, positions).argmax(-1) == targets
    by_task = {question.task: [] for question in questions}
    for (_, said, task), tokens in zip(documents, hit.split([sum(said) for _, said, _ in documents])):
        by_task[task].append(bool(tokens.all()))
    scores = {task: round(sum(hits) / len(hits), 3) for task, hits in by_task.items()}
    return sum(map(sum, by_task.values())) / len(questions), scores


def rate_share(step, steps):
    """The learning rate's share of its peak."""
    if step < WARMUP_STEPS:
        return (step + 1) / WARMUP_STEPS
    fall = int(steps * FALL_SHARE)
    into = step - (steps - fall)
    return 1.0 if into <= 0 else 0.5 * (1 + math.cos(math.pi * into / fall))


def balance_rate(step, steps):
    """The step of the router biases: large at first, at rest in the end."""
    warm = min(1.0, step / WARMUP_STEPS)
    return FIRST_BALANCE_RATE * (1 - warm) + BALANCE_RATE * warm * rate_share(step, steps)


def make_optimizer(model):
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() <= 1]
    groups = [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": vectors, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=PEAK_RATE, betas=(0.9, 0.98), fused=True)


def save(path, model, optimizer, step):
    """Writes the checkpoint whole or not at all."""
    draft = path.with_suffix(".draft")
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "step": step}, draft)
    draft.replace(path)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--until", type=int, help="stop early, the schedule being that of --steps")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(arguments.seed)

    tokenizer = train_tokenizer()
    write(tokenizer, arguments.out)
    encoder = Encoder(tokenizer)
    questions = held_out_questions(per_task=50)
    model = make_model(tokenizer.get_vocab_size()).train()
    optimizer, balancer = make_optimizer(model), Balancer(model)
    checkpoint, first = arguments.out / "checkpoint.pt", 0
    if checkpoint.exists():
        state = torch.load(checkpoint)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["step"]

    start, tokens, last = time.time(), 0, arguments.until or arguments.steps
    for step in range(first, last):
        share = rate_share(step, arguments.steps)
        for group in optimizer.param_groups:
            group["lr"] = PEAK_RATE * share
        ids, packing, positions, targets = training_batch(encoder, step)
        loss = F.cross_entropy(predict(model, ids, packing, positions), targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        imbalance = balancer.step(balance_rate(step, arguments.steps))
        tokens += len(ids)
        done = step + 1
        if done % 20 == 0:
            speed = tokens / (time.time() - start)
            print(f"step {done} loss {loss:.4f} imbalance {imbalance:.1f} tokens/s {speed:.0f}", flush=True)
        if done % 200 == 0 or done == last:
            save(checkpoint, model, optimizer, done)
            score, by_task = examine(model, encoder, questions)
            print(f"step {done} held-out {score:.4f} {json.dumps(by_task)}", flush=True)


if __name__ == "__main__":
    main()
