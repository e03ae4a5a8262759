"""What a question's words can mean in a scene."""

from models.embedded.next.world.sprites import COLOURS


def meant(scene, words):
    """The things of a named kind, and of the colour and the size, where those are named too."""
    return [
        thing
        for thing in scene.things
        if thing.kind in words
        and (not words & set(COLOURS) or thing.colour in words)
        and (not words & {"small", "large"} or thing.size in words)
    ]
