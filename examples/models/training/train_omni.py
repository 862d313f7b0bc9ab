"""Trains dormouse-omni: gives dormouse-tiny eyes and ears.

    python speech.py run/speech.npz
    python train_omni.py --text ../dormouse-tiny --steps 2000 --out run

With --begin it goes on from an exported folder, all together from the first step on.

The first steps teach the towers alone, through `Teachers`; then the text model learns with them. Step k draws its data
from a generator seeded with k and --seed, so a resumed run equals an uninterrupted one.
"""

import argparse
import json
import math
import random
import time
from collections import defaultdict
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from data import training_conversation
from evaluate import load
from exported import read_exported
from model import BOS, EOS, Balancer, Packing, make_model
from omni_data import Conversation, Sounds, clip_batch, glyph_batch, join_some, picture_batch
from omni_tokenizer import IMAGE, SOUND, VIDEO, extend, write
from tokenizer import ASSISTANT, USER
from train import by_length, make_optimizer, save
from towers import Teachers, VisionTower, VoiceTower

TOWERS_RATE = 2.5e-3  # while the towers learn alone
TOWERS_SIZE = 2.0  # of their batches
WARMUP_STEPS = 60
FALL_SHARE = 0.5
BALANCE_RATE = 0.001
TEACHERS_SHARE = 0.5
TEXT_CONVERSATIONS = 48  # a step
USUAL_BATCH = [("picture", 64), ("picture", 64), ("clip", 6), ("sound", 12)]


class Omni(nn.Module):
    def __init__(self, text_folder: Path, vocabulary: int, words: int):
        super().__init__()
        state = load(text_folder).state_dict()
        self.text = make_model(vocabulary)
        for name in ("model.embed_tokens.weight", "lm_head.weight"):
            known = state[name]
            wide = known.mean(0) + 0.02 * torch.randn(vocabulary, known.shape[1])
            wide[: len(known)] = known
            state[name] = wide
        self.text.load_state_dict(state)
        width = self.text.config.hidden_size
        self.vision, self.voice = VisionTower(width), VoiceTower(width)
        self.teachers = Teachers(self.vision.merged, width, 128, words)

    def see(self, media):
        """Rows of pictures [batch, tokens, width], and the teachers' loss."""
        rows, seen = self.vision(media.tensors)
        return rows, self.teachers.picture_loss(rows, seen, *media.targets)

    def watch(self, media):
        """Rows of clips, chunk behind chunk."""
        parts = [self.vision(part) for part in media.tensors.split(4, dim=1)]
        loss = self.teachers.clip_loss(parts, *media.targets)
        return torch.cat([rows for rows, _ in parts], 1), loss

    def hear(self, media):
        rows, heard = self.voice(media.tensors)
        counts = torch.tensor(media.row_counts)
        return rows, self.teachers.sound_loss(heard, counts, *media.targets)

    def rows(self, batch):
        """The rows of every item of a batch's media, and the teachers' loss."""
        out, loss = [], 0.0
        self.taught = {}
        for kind, media in batch:
            rows, part = {"picture": self.see, "clip": self.watch, "sound": self.hear}[kind](media)
            out.append([r[:n] for r, n in zip(rows, media.row_counts)])
            loss = loss + part
            self.taught[kind] = part.item()
        return out, loss


class Encoder:
    """Conversations to ids, the mask of what is said by the assistant, and where rows stand."""

    def __init__(self, tokenizer):
        self.tokenizer = tokenizer
        self.user, self.assistant = tokenizer.token_to_id(USER), tokenizer.token_to_id(ASSISTANT)
        self.marks = {tokenizer.token_to_id(mark) for mark in (IMAGE, VIDEO, SOUND)}

    def document(self, conversation: Conversation):
        ids, said = [BOS], [False]
        for prompt, answer in conversation.turns:
            more = [self.user, *self.tokenizer.encode(prompt).ids, self.assistant]
            ids += more
            said += [False] * len(more)
            more = [*self.tokenizer.encode(answer).ids, EOS]
            ids += more
            said += [True] * len(more)
        return ids, said, conversation


def glyphs(rng, sounds):
    """Media for the first steps: small pictures, and sounds."""
    pictures = [("picture", glyph_batch(rng, 160)) for _ in range(2)]
    return [*pictures, ("sound", sounds.batch(rng, 32, 2)[0])], []


def text_conversations(rng, count):
    for _ in range(count):
        system, turns = training_conversation(rng)
        yield Conversation([(turn.prompt, turn.answer) for turn in turns], task="text")


def make_batch(rng, sounds, held_out=False, size=1.0):
    """Media by tower call, and conversations."""
    media, conversations = [], []
    for index, (kind, usual) in enumerate(USUAL_BATCH):
        count = int(usual * size)
        if kind == "sound":
            made = sounds.batch(rng, count, index)
        else:
            made = (picture_batch if kind == "picture" else clip_batch)(rng, count, held_out, index)
        media.append((kind, made[0]))
        conversations += made[1]
    return media, conversations


def predict(model, encoder, documents, rows):
    """Logits before said tokens, and those tokens; documents in order of length."""
    ids = torch.tensor([i for d in documents for i in d[0]])
    said = torch.tensor([s for d in documents for s in d[1]])
    packing = Packing(torch.tensor([len(d[0]) for d in documents]))
    embedded = model.text.model.embed_tokens(ids)
    own = [rows[call][item] for d in documents for call, item in d[2].media]
    if own:
        places = torch.isin(ids, torch.tensor(sorted(encoder.marks))).nonzero()[:, 0]
        embedded = embedded.index_copy(0, places, torch.cat(own).to(embedded.dtype))
    hidden = model.text.model(
        inputs_embeds=embedded[None], position_ids=packing.position_ids[None], packing=packing, use_cache=False
    ).last_hidden_state[0]
    targets = said.nonzero()[:, 0]
    return model.text.lm_head(hidden[targets - 1]).float(), ids[targets]


def rate_share(step, steps):
    if step < WARMUP_STEPS:
        return (step + 1) / WARMUP_STEPS
    fall = int(steps * FALL_SHARE)
    into = step - (steps - fall)
    return 1.0 if into <= 0 else 0.02 + 0.49 * (1 + math.cos(math.pi * into / fall))


@torch.no_grad()
def examine(model, encoder, sounds, batches=4):
    """Share of answers all of whose tokens are the likeliest, by task; sounds are not held out here."""
    model.eval()
    marks = defaultdict(list)
    for index in range(batches):
        media, conversations = make_batch(random.Random(f"examine {index}"), sounds, held_out=True)
        with torch.autocast("cpu", torch.bfloat16):
            rows, _ = model.rows(media)
            documents = sorted((encoder.document(c) for c in conversations), key=by_length)
            logits, targets = predict(model, encoder, documents, rows)
        hits = (logits.argmax(-1) == targets).split([sum(d[1]) for d in documents])
        for document, hit in zip(documents, hits):
            marks[document[2].task].append(bool(hit.all()))
    model.train()
    every = [m for task in marks.values() for m in task]
    return sum(every) / len(every), {task: round(sum(m) / len(m), 3) for task, m in sorted(marks.items())}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--text", type=Path, required=True)
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--glyphs", type=int, default=350, help="first steps, of small pictures with one thing each")
    parser.add_argument("--towers", type=int, default=700, help="steps in which the towers learn alone")
    parser.add_argument("--rate", type=float, default=1.5e-3, help="the highest rate of learning")
    parser.add_argument("--begin", type=Path, help="an exported folder whose weights come first")
    parser.add_argument("--seed", default="omni", help="of what is drawn")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.begin:
        arguments.glyphs = arguments.towers = 0
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(11)

    tokenizer = extend(arguments.text)
    write(tokenizer, arguments.text, arguments.out)
    encoder, sounds = Encoder(tokenizer), Sounds(arguments.out / "speech.npz")
    model = Omni(arguments.text, tokenizer.get_vocab_size(), len(sounds.numbers)).train()
    optimizer, balancer = make_optimizer(model), Balancer(model.text)
    checkpoint, first = arguments.out / "omni.pt", 0
    if checkpoint.exists():
        state = torch.load(checkpoint)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        first = state["step"]
    elif arguments.begin:
        read_exported(arguments.begin, model)

    start = time.time()
    for step in range(first, arguments.steps):
        alone = step < arguments.towers
        share = rate_share(step, arguments.steps)
        for group in optimizer.param_groups:
            group["lr"] = TOWERS_RATE * min(1.0, (step + 1) / WARMUP_STEPS) if alone else arguments.rate * share
        rng = random.Random(f"{arguments.seed} {step}")
        if step < arguments.glyphs:
            media, conversations = glyphs(rng, sounds)
        else:
            media, conversations = make_batch(rng, sounds, size=TOWERS_SIZE if alone else 1.0)
        with torch.autocast("cpu", torch.bfloat16):
            rows, taught = model.rows(media)
            if alone:
                said, loss = torch.zeros(()), taught
            else:
                conversations = join_some(rng, conversations, 0.08) + list(text_conversations(rng, TEXT_CONVERSATIONS))
                documents = sorted((encoder.document(c) for c in conversations), key=by_length)
                logits, targets = predict(model, encoder, documents, rows)
                said = F.cross_entropy(logits, targets)
                loss = said + TEACHERS_SHARE * taught
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        if not alone:
            balancer.step(BALANCE_RATE * share)
        done = step + 1
        if done % 20 == 0:
            each = (time.time() - start) / (done - first)
            taught = " ".join(f"{kind} {value:.3f}" for kind, value in model.taught.items())
            print(f"step {done} loss {said.item():.4f} teachers: {taught}; {each:.2f} s a step", flush=True)
        if done % 100 == 0 or done == arguments.steps:
            save(checkpoint, model, optimizer, done)
            if not alone:
                score, by_task = examine(model, encoder, sounds)
                print(f"step {done} held-out {score:.4f} {json.dumps(by_task)}", flush=True)


if __name__ == "__main__":
    main()
