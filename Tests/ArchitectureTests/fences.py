"""Holds the package to floors.py: a sentence for each thing that is not as it should be."""

from fnmatch import fnmatchcase

import floors


def complaints(targets, house=floors.HOUSE, linked=floors.LINKED):
    """- targets: name -> package.Target."""
    height = _heights(targets, house)
    found = _rooms_without_a_target(targets, house)
    for target in targets.values():
        if _is_room(target) and target.name not in height:
            found.append(f"{target.name} has no floor: give it one in floors.py")
        found += _undeclared(target, targets, height)
        found += _unused(target, linked.get(target.name, set()))
        if target.name in height:
            found += _upward(target, height)
    found += [f"floors.py: LINKED names {name}, which is no target" for name in linked if name not in targets]
    return found


def place(target, house=floors.HOUSE):
    """The floor and the room of a target's name; None for one that has no room."""
    for floor in house:
        for room in floor.rooms:
            if isinstance(room, floors.Room) and fnmatchcase(target, room.name):
                return floor, room
    return None


def _heights(targets, house):
    """name of a target -> (whether it is above the header, how high it is, the number of its floor)."""
    heights = {}
    for name in targets:
        if found := place(name, house):
            floor, _ = found
            heights[name] = (floor.is_above_the_header, -house.index(floor), floor.number)
    return heights


def _is_room(target):
    """Tools and tests beside Sources may import what they like, and C modules are not of a floor."""
    return target.is_swift and target.folder.startswith("Sources/")


def _rooms_without_a_target(targets, house):
    return [
        f"floors.py: {room.name} is no target of Package.swift"
        for floor in house for room in floor.rooms
        if isinstance(room, floors.Room) and not any(fnmatchcase(name, room.name) for name in targets)
    ]


def _undeclared(target, targets, height):
    if target.kind == "test":
        toolchain = floors.TOOLCHAIN_OF_TESTS
    elif height.get(target.name, (False,))[0]:
        toolchain = floors.TOOLCHAIN_ABOVE_THE_HEADER
    else:
        toolchain = floors.TOOLCHAIN
    return [
        f"{target.name} imports {module} ({path}), which Package.swift does not declare as its dependency"
        for module, path in sorted(target.imports.items())
        if module not in target.dependencies | toolchain | {target.name}
    ]


def _unused(target, linked):
    unused = [
        f"{target.name} declares {name} as its dependency, and no source of it imports that"
        for name in sorted(target.dependencies - set(target.imports) - linked)
    ]
    stale = [
        f"floors.py: {target.name} is said to link {name} without importing it, which it does not"
        for name in sorted(linked) if name in target.imports or name not in target.dependencies
    ]
    return unused + stale


def _upward(target, height):
    is_above, own, number = height[target.name]
    found = []
    for name in sorted((set(target.imports) & set(height)) - {target.name}):
        other_is_above, other, other_number = height[name]
        if other >= own:
            found.append(
                f"{target.name} (floor {number}) imports {name} (floor {other_number}), which is not below it")
        elif is_above and not other_is_above:
            found.append(f"{target.name} is above {floors.HEADER} and imports {name}, which is below it")
    return found
