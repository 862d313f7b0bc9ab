"""The house: its floors from the top, the rooms of each, and the way of a request through them.

Stated here once: test_fences.py holds Package.swift and the sources to it, and picture.py draws it. A new module is one
more Room on its floor.
"""

from typing import NamedTuple


class Room(NamedTuple):
    """A Swift target below Sources; NAME* stands for several that are one room."""

    name: str
    words: str
    width: int = 0  # columns of the image, of 12; 0: an equal share of what its floor has left


class Guest(NamedTuple):
    """A program that calls the header and is no target of the package."""

    name: str
    words: str
    width: int = 0


class Gap(NamedTuple):
    """Columns of the image where a floor has no room."""

    width: int


class Floor(NamedTuple):
    number: str
    rooms: list
    is_above_the_header: bool = False


# A module imports rooms of lower floors alone. Above dormouse.h it imports none of those below.
HEADER = "dormouse.h"
HOUSE = [
    Floor("7", [Gap(4), Room("dormouse", "the command line", 4)], True),
    Floor("6", [
        Guest("C, C++", "your program", 2), Guest("Python", "ctypes", 2),
        Room("DormouseClient", "the header in Swift, for the command line and other hosts", 4),
    ], True),
    Floor("5½", [
        Room("DormouseLibrary", "libdormouse.so.0: the header's functions, and no other symbol", 4),
        Gap(4),
        Room("DormouseMediaLibrary", "libdormouse_media.so.0, loaded with the first media file"),
    ]),
    Floor("5", [
        Room("DormouseABI", "checks arguments, maps failures to a status and a sentence", 8),
        Room("DormouseMediaFiles", "images, videos and audio in files, by FFmpeg and others"),
    ]),
    Floor("4½", [Gap(8), Room("DormouseBoundary", "what exported functions share: errors, structs, handles")]),
    Floor("4", [Room("DormouseEngine", "engine, session, scheduler, sampling, events, memory budget")]),
    Floor("3", [
        Gap(3),
        Room("DormouseModel", "config.json and names, latent attention, experts, decoder"),
        Room("DormouseSpeech", "Whisper's decoder, transcription"),
        Room("DormouseMedia", "pixels, frames and samples to rows: preprocessing, towers"),
    ]),
    Floor("2¾", [Gap(6), Room("DormouseAudio", "resampling, log-mel features, Whisper's encoder")]),
    Floor("2½", [Gap(5), Room("DormouseLayers", "what models of every kind share: linear maps, the router, rotation")]),
    Floor("2", [
        Room("DormouseText", "tokenizer, chat template, token stream"),
        Room("DormouseCache", "rows in pages, prefixes, saved sessions"),
        Room("DormouseWeights", "bytes on disk to named tensors: safetensors"),
    ]),
    Floor("1", [
        Room("DormouseGrammar", "schemas, patterns, grammars: which tokens may come next", 4),
        Room("DormouseKernels", "numbers: element types, matrices, one file an operation; no models"),
    ]),
    Floor("0", [
        Room("DormouseSupport", "failures, JSON, checked sizes, files, aligned memory, threads", 8),
        Room("DormouseCPU*", "the kernels' sources, compiled for each instruction set"),
    ]),
]


class Step(NamedTuple):
    """From a room to one that it stands on, or back."""

    start: str
    end: str
    words: str


WAY = [
    Step("dormouse", "DormouseClient", "messages"),
    Step("DormouseClient", "DormouseABI", "JSON"),
    Step("DormouseABI", "DormouseEngine", "checked arguments"),
    Step("DormouseEngine", "DormouseText", "messages"),
    Step("DormouseText", "DormouseEngine", "tokens"),
    Step("DormouseEngine", "DormouseMedia", "files"),
    Step("DormouseMedia", "DormouseEngine", "rows"),
    Step("DormouseEngine", "DormouseModel", "batch"),
    Step("DormouseModel", "DormouseCache", "rows"),
    Step("DormouseModel", "DormouseLayers", "linear maps"),
    Step("DormouseLayers", "DormouseKernels", "products"),
    Step("DormouseModel", "DormouseEngine", "logits"),
    Step("DormouseEngine", "DormouseABI", "events"),
    Step("DormouseABI", "DormouseClient", "events"),
    Step("DormouseClient", "dormouse", "text"),
]

# Dependencies that are linked and not imported. A client calls the header; the core's objects define its functions.
LINKED = {
    "dormouse": {"DormouseABI"},
    "DormouseClientTests": {"DormouseABI"},
    "DormouseLibrary": {"DormouseABI"},
    "DormouseMediaLibrary": {"DormouseMediaFiles"},
}

# The module that defines what a header's module declares: a step of the way may go from the one to the other.
DEFINED = {"CDormouse": "DormouseABI"}

# What comes with the toolchain. The core uses no Foundation: it is 58 MB, linked statically.
TOOLCHAIN = {"Glibc", "Synchronization"}
TOOLCHAIN_ABOVE_THE_HEADER = TOOLCHAIN | {"FoundationEssentials"}
TOOLCHAIN_OF_TESTS = TOOLCHAIN | {"Foundation", "Testing"}
