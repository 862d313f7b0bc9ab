#!/usr/bin/env python3
"""Finds the sixteen levels of int4 weights (Sources/CPUKernels/PanelFormats.swift) and prints what they leave.

usage: levels.py [--groups 6000] [--rounds 40]     (numpy)

Lloyd's algorithm on groups of 32 normally distributed weights: each group takes the scale of the least squared error,
of either sign; then each level moves to the mean of the weights that chose it, in units of their group's scale.
"""
import argparse

import numpy

START = [-127, -104, -82, -64, -48, -34, -21, -9, 3, 14, 26, 39, 53, 69, 89, 118]


def choose(levels, groups, reaches, bin_width=0):
    """The level of every weight as an index, and the scale of every group.

    With bins, all weights in one count as its middle while a scale is guessed, in units of the greatest weight's 127th.
    """
    borders = (levels[1:] + levels[:-1]) / 2
    tops = numpy.abs(groups).max(1)
    seen = groups
    if bin_width:
        unit = tops[:, None] / 127 * bin_width
        seen = (numpy.floor(groups / unit) + 0.5) * unit
    best = numpy.full(len(groups), -1.0)
    scales = numpy.zeros(len(groups))
    for sign in (1, -1):
        for reach in reaches:
            guess = sign * tops / 127 * reach
            values = levels[numpy.searchsorted(borders, seen / guess[:, None])]
            product, square = (groups * values).sum(1), (values * values).sum(1)
            better = product**2 / square > best
            best[better] = (product**2 / square)[better]
            scales[better] = (product / square)[better]
    codes = numpy.searchsorted(borders, groups / scales[:, None])
    return codes, scales


def error(groups, result):
    return float(numpy.sqrt(((groups - result) ** 2).sum() / (groups**2).sum()))


def even_steps(groups):
    """Q4_0: the weight of the greatest magnitude becomes -8."""
    greatest = groups[numpy.arange(len(groups)), numpy.abs(groups).argmax(1)][:, None]
    return numpy.clip(numpy.round(groups / (greatest / -8)), -8, 7) * (greatest / -8)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--groups", type=int, default=6000)
    parser.add_argument("--rounds", type=int, default=40)
    arguments = parser.parse_args()
    groups = numpy.random.default_rng(1).standard_normal((arguments.groups, 32))
    levels = numpy.array(START, float)
    for _ in range(arguments.rounds):
        codes, scales = choose(levels, groups, numpy.linspace(0.75, 1.1, 9))
        weight = numpy.broadcast_to((scales**2)[:, None], codes.shape)
        units = groups / scales[:, None]
        means = [(units * weight)[codes == k].sum() / weight[codes == k].sum() for k in range(16)]
        levels = numpy.array(means) * 127 / numpy.abs(means).max()
    print("levels", *numpy.round(levels).astype(int))
    fresh = numpy.random.default_rng(2).standard_normal((arguments.groups, 32))
    for name, these in (("these", numpy.round(levels)), ("the library's", numpy.array(LIBRARY, float))):
        codes, scales = choose(these, fresh, (0.92, 1.0, 1.08), bin_width=4)
        print(f"{name} leave {error(fresh, these[codes] * scales[:, None]):.2%}")
    print(f"even steps (Q4_0) leave {error(fresh, even_steps(fresh)):.2%}")


LIBRARY = [-127, -101, -81, -64, -48, -34, -21, -9, 3, 14, 26, 39, 52, 68, 88, 119]

if __name__ == "__main__":
    main()
