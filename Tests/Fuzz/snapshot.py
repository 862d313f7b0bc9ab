"""Saved sessions, good and bad, for the fuzz target `snapshot.swift` and for SnapshotFileTests.

Run it with any Python 3; it rewrites corpus/snapshot. It shares nothing with the library but the description of the file
in Sources/DormouseCache/SnapshotHeader.swift, so that the good files hold the library to it. All files are of one model:
2 layers, kv_lora_rank 3, qk_rope_head_dim 2, a vocabulary of 16, the identity "model 1"; in a pool of the row type that
the file's name says, or bfloat16, for 200 tokens, each good file is read and each bad one refused.
"""

import pathlib
import struct

FOLDER = pathlib.Path(__file__).parent / "corpus" / "snapshot"
LAYERS, RANK, ROPE, VOCABULARY = 2, 3, 2, 16
POSITIONS_PER_PAGE = 64
MASK = 2**64 - 1
CONTENT = 1 << 63  # the key of a position of an image or audio
PRIMES = (11400714785074694791, 14029467366897019727, 1609587929392839161, 9650029242287828579, 2870177450012600261)


def rotate(word, count):
    return (word << count | word >> (64 - count)) & MASK


def step(total, word):
    return rotate((total + word * PRIMES[1]) & MASK, 31) * PRIMES[0] & MASK


def xxh64(data):
    """XXH64 with seed 0, by its specification."""
    p1, p2, p3, p4, p5 = PRIMES
    end = len(data) // 32 * 32
    total = p5
    if end:
        lanes = [(p1 + p2) & MASK, p2, 0, -p1 & MASK]
        for start in range(0, end, 32):
            words = struct.unpack_from("<4Q", data, start)
            lanes = [step(lane, word) for lane, word in zip(lanes, words)]
        total = sum(rotate(lane, count) for lane, count in zip(lanes, (1, 7, 12, 18))) & MASK
        for lane in lanes:
            total = ((total ^ step(0, lane)) * p1 + p4) & MASK
    total = (total + len(data)) & MASK
    while len(data) - end >= 8:
        total = (rotate(total ^ step(0, struct.unpack_from("<Q", data, end)[0]), 27) * p1 + p4) & MASK
        end += 8
    if len(data) - end >= 4:
        total = (rotate(total ^ struct.unpack_from("<I", data, end)[0] * p1 & MASK, 23) * p2 + p3) & MASK
        end += 4
    for byte in data[end:]:
        total = rotate(total ^ byte * p5 & MASK, 11) * p1 & MASK
    for shift, prime in ((33, p2), (29, p3)):
        total = (total ^ total >> shift) * prime & MASK
    return total ^ total >> 32


def row(kind, position, layer):
    """Whole numbers, so that every type holds them as they are."""
    values = [float((position * 7 + layer * 3 + column) % 50 - 25) for column in range(RANK + ROPE)]
    narrow = b"".join(struct.pack("<f", value)[2:] for value in values)
    if kind == "float32":
        return struct.pack(f"<{len(values)}f", *values)
    if kind == "bfloat16":
        return narrow
    return struct.pack(f"<{RANK}bf", *(int(value) for value in values[:RANK]), 0.5) + narrow[2 * RANK :]


def session(kind="bfloat16", rows=2, ahead=0, **changes):
    """The bytes of a file; `changes` replace fields of its header, parts of its front, or checksums."""
    tokens = changes.get("tokens", [(3 * i + 1) % VOCABULARY for i in range(rows + ahead)])
    logits, key_type, forms = changes.get("logits", []), changes.get("key_type", 0), changes.get("forms", [])
    identity, description = changes.get("identity", b"model 1"), changes.get("description", b"the model of the corpus")
    blocks = []
    for first in range(0, rows, POSITIONS_PER_PAGE):
        held = range(first, min(rows, first + POSITIONS_PER_PAGE))
        blocks += [b"".join(row(kind, position, layer) for position in held) for layer in range(LAYERS)]
    checksums = [xxh64(block) for block in blocks]
    front = identity + description + struct.pack(f"<{len(tokens)}{'Q' if key_type == 1 else 'i'}", *tokens)
    front += struct.pack(f"<{len(logits)}f", *logits)
    front += b"".join(struct.pack("<2Q", end, form) for end, form in forms)
    front += struct.pack(f"<{len(checksums)}Q", *checksums)
    header = changes.get("magic", b"DORMSNAP") + struct.pack(
        "<3I2H9Q", changes.get("version", 1), changes.get("byte_order", 0x01020304),
        changes.get("row_type", ["float32", "bfloat16", "int8"].index(kind)), key_type, changes.get("form_run_count", len(forms)),
        changes.get("layers", LAYERS), changes.get("rank", RANK), changes.get("rope", ROPE),
        changes.get("token_count", len(tokens)), changes.get("row_count", rows),
        changes.get("logit_count", len(logits)), changes.get("identity_count", len(identity)),
        changes.get("description_count", len(description)), xxh64(front) ^ changes.get("front_damage", 0))  # fmt: skip
    header += struct.pack("<Q", xxh64(header) ^ changes.get("header_damage", 0))
    return header + front + b"".join(blocks)


LOGITS = [i / 4 - 1 for i in range(VOCABULARY)]
GOOD = {
    "bfloat16-0": session(rows=0),
    "bfloat16-0-ahead": session(rows=0, ahead=2),
    "bfloat16-1": session(rows=1, description=b""),
    "bfloat16-64-logits": session(rows=64, logits=LOGITS),
    "float32-63": session("float32", rows=63),
    "float32-65-ahead-logits": session("float32", rows=65, ahead=1, logits=LOGITS),
    "int8-130-ahead": session("int8", rows=130, ahead=3),
    "bfloat16-70-forms": session(rows=70, ahead=2, forms=[(64, 1), (65, 0), (70, 1)]),
    "bfloat16-3-forms-unknown": session(rows=3, logits=LOGITS, forms=[(1, MASK), (3, 1)]),
    "bfloat16-5-content": session(rows=5, ahead=1, key_type=1, tokens=[1, CONTENT + 7, CONTENT, MASK, 15, CONTENT]),
}
BAD = {
    "empty": b"",
    "short": session()[:103],
    "magic": session(magic=b"DORM\x1b[1m"),
    "version": session(version=2),
    "byte-order": session(byte_order=0x04030201),
    "header-damaged": session(header_damage=1),
    "key-type": session(key_type=2),
    "forms-missing": session(form_run_count=1),
    "forms-descending": session(rows=3, forms=[(2, 1), (2, 0), (3, 1)]),
    "forms-too-few": session(rows=3, forms=[(2, 1)]),
    "forms-beyond-rows": session(rows=3, forms=[(4, 1)]),
    "forms-of-no-rows": session(rows=0, forms=[(0, 1)]),
    "forms-many": session(forms=[(1, 1), (2, 0)], form_run_count=65535),
    "row-type": session("int8"),
    "row-type-unknown": session(row_type=3),
    "layer-count": session(layers=3),
    "layer-count-huge": session(layers=MASK),
    "kv-lora-rank": session(rank=512),
    "qk-rope-head-dim": session(rope=0),
    "tokens-beyond-capacity": session(rows=2, ahead=199),
    "tokens-huge": session(token_count=MASK),
    "rows-beyond-tokens": session(tokens=[1]),
    "rows-huge": session(row_count=1 << 63),
    "logits-of-another-vocabulary": session(logits=LOGITS[1:]),
    "logits-huge": session(logit_count=1 << 62),
    "identity-huge": session(identity_count=65537),
    "description-huge": session(description_count=1 << 40),
    "size-cut": session()[:-1],
    "size-long": session() + b"\0",
    "size-of-fewer-rows": session(row_count=1),
    "front-damaged": session(front_damage=1 << 63),
    "identity": session(identity=b"model 2", description=b"another model"),
    "identity-shorter": session(identity=b"model", description=b"\x1b[31mmodel\xff"),
    "identity-none": session(identity=b"", description=b""),
    "token-negative": session(tokens=[0, -1]),
    "key-between": session(key_type=1, tokens=[CONTENT, 1 << 62]),
    "token-outside": session(tokens=[15, 16]),
    "logit-nan": session(logits=LOGITS[:-1] + [float("nan")]),
    "logit-infinite": session(logits=[float("-inf")] + LOGITS[1:]),
    "rows-damaged": session()[:-1] + b"\x99",
}


def main():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for old in FOLDER.iterdir():
        old.unlink()
    for prefix, files in (("good", GOOD), ("bad", BAD)):
        for name, data in files.items():
            (FOLDER / f"{prefix}-{name}").write_bytes(data)


main()
