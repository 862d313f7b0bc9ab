"""Values of options that are lists, with commas between."""

import argparse


def names(known: tuple[str, ...]):
    def read(text: str) -> list[str]:
        given = text.split(",")
        for name in given:
            if name not in known:
                raise argparse.ArgumentTypeError(f"{name!r}: expected of {', '.join(known)}")
        return given

    return read


def numbers(text: str) -> list[int]:
    try:
        given = [int(word) for word in text.split(",")]
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r}: expected numbers with commas between") from None
    if min(given) < 0:
        raise argparse.ArgumentTypeError(f"{text!r}: expected no negative number")
    return given
