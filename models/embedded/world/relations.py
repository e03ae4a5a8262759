"""Unambiguous relations between things: left of, right of, above, below."""

from __future__ import annotations

from itertools import product

from models.embedded.world.scenes import Scene, Thing

RELATIONS = {"left of": (-1, 0), "right of": (1, 0), "above": (0, -1), "below": (0, 1)}
_FAR = 0.1  # least distance along the relation, as a share of the picture's shorter side
_CLEAR, _UNCLEAR = 1.25, 0.8  # least ratio of the distances along and across


def holds(scene: Scene, thing: Thing, anchor: Thing, relation: str) -> bool | None:
    """Whether a thing has the relation to the anchor; None if it is ambiguous."""
    height, width = scene.picture.shape[:2]
    shorter = min(height, width)
    right = (thing.centre[0] - anchor.centre[0]) * width / shorter
    down = (thing.centre[1] - anchor.centre[1]) * height / shorter
    x, y = RELATIONS[relation]
    along, across = right * x + down * y, abs(right * y) + abs(down * x)
    if along >= _FAR and along >= _CLEAR * across:
        return True
    return None if along > 0 and along >= _UNCLEAR * across else False


def only(scene: Scene, things: list[Thing], anchor: Thing, relation: str) -> Thing | None:
    """The only thing with the relation to the anchor; None if another one may have it."""
    others = [thing for thing in things if thing is not anchor]
    found = {thing: holds(scene, thing, anchor, relation) for thing in others}
    clear = [thing for thing, held in found.items() if held]
    return clear[0] if len(clear) == 1 and None not in found.values() else None


def named(thing: Thing, things: tuple[Thing, ...]) -> list[str]:
    """The phrases "kind" and "colour kind" that name this thing only."""
    kinds = [other for other in things if other.kind == thing.kind]
    both = [other for other in kinds if other.colour == thing.colour]
    phrases = [thing.kind] if len(kinds) == 1 else []
    return phrases + ([f"{thing.colour} {thing.kind}"] if len(both) == 1 else [])


def related(scene: Scene, target: Thing) -> list[str]:
    """Phrases that name the target by a relation, such as "cup left of the key"."""
    found = []
    anchors = [thing for thing in scene.things if thing is not target and thing.kind != target.kind]
    for anchor, relation, coloured in product(anchors, RELATIONS, (False, True)):
        alike = [
            thing
            for thing in scene.things
            if thing.kind == target.kind and (not coloured or thing.colour == target.colour)
        ]
        if only(scene, alike, anchor, relation) is target:
            words = f"{target.colour} {target.kind}" if coloured else target.kind
            found += [f"{words} {relation} the {name}" for name in named(anchor, scene.things)]
    return found
