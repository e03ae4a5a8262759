"""The markers of survivors: one shape per kind."""

from __future__ import annotations

from functools import lru_cache

from PIL import Image, ImageDraw

from pruning.trace import TokenTrace

SHAPES = {"dot": "●", "square": "■", "diamond": "◆", "triangle": "▲", "cross": "✚"}
TAG_SHAPES = {
    "dominant": "square",
    "contextual": "diamond",
    "pillar": "triangle",
    "collector": "square",
    "adts": "square",
    "tstm": "diamond",
    "salient": "square",
    "context": "diamond",
    "static": "square",
    "dynamic": "triangle",
}
KINDS = {  # of survivors: words for the legend, and what they mean
    "dominant": ("dominant", "Kept as they are, because [CLS] attends to them most"),
    "contextual": ("contextual", "Averages of tokens that are not dominant"),
    "pillar": ("unchanged (pillar)", "Nüwa: strong survivors, which stay as they are"),
    "collector": (
        "with surroundings (collector)",
        "Nüwa: survivors that gather their surroundings",
    ),
    "adts": ("attended and diverse (ADTS)", "FlashVID: chosen by attention and by difference"),
    "tstm": ("tree over frames (TSTM)", "FlashVID: averages of similar tokens from frame to frame"),
    "salient": ("most attended (salient)", "FastVID: kept as they are, for their attention"),
    "context": ("anchor with its segment", "FastVID: survivors that gather the rest of a segment"),
    "static": ("static", "Places that hardly change over time, stored once"),
    "dynamic": ("dynamic", "Places that change over time"),
    "pivot": ("pivot", "DART: the tokens to which the others are compared"),
    "distinct": ("distinct", "DART: tokens that repeat the pivots least"),
}
FATES = {
    "kept": "A survivor in its own place: the LLM reads it until the end of the run",
    "merged": "Averaged into a survivor, in whose colour it is drawn",
    "dropped": "The LLM reads it no longer, and no survivor holds a part of it",
}


def format_tag(tag: str) -> str:
    """The words for a kind of survivor."""
    return KINDS[tag][0] if tag in KINDS else tag


def meanings() -> dict[str, str]:
    """What the words of a legend mean, for tooltips."""
    return {**dict(KINDS.values()), **FATES}


def shapes_of(trace: TokenTrace) -> dict[int, str]:
    """The shape of every survivor to which its method gave a kind."""
    tags = trace.tags
    return {
        token: tag_shape(tag, list(tags))
        for tag, members in tags.items()
        for token in trace.survivors[members].tolist()
    }


def tag_shape(tag: str, tags: list[str]) -> str:
    """The shape of a kind; an unknown kind takes a free shape by its place in `tags`."""
    taken = {TAG_SHAPES[name] for name in tags if name in TAG_SHAPES}
    free = [shape for shape in SHAPES if shape not in taken and shape != "dot"]
    unknown = [name for name in tags if name not in TAG_SHAPES]
    return TAG_SHAPES[tag] if tag in TAG_SHAPES else free[unknown.index(tag) % len(free)]


@lru_cache(maxsize=256)
def stamp(shape: str, side: int, rgb: tuple[int, int, int] = (255, 255, 255)) -> Image.Image:
    """A marker with a white and a dark rim, readable on any picture."""
    zoom = 4  # drawn large, then reduced
    edge = zoom * (side + 4)
    image = Image.new("RGBA", (edge, edge), (0, 0, 0, 0))
    draw = ImageDraw.Draw(image)
    for inset, fill in ((0, (0, 0, 0, 255)), (zoom, (255, 255, 255, 255)), (2 * zoom, (*rgb, 255))):
        low, high, middle = inset, edge - 1 - inset, (edge - 1) / 2
        if shape == "dot":
            draw.ellipse((low, low, high, high), fill=fill)
        elif shape == "square":
            shrink = zoom // 2
            draw.rectangle((low + shrink, low + shrink, high - shrink, high - shrink), fill=fill)
        elif shape == "diamond":
            draw.polygon([(middle, low), (high, middle), (middle, high), (low, middle)], fill=fill)
        elif shape == "triangle":
            draw.polygon([(middle, low), (high, high), (low, high)], fill=fill)
        else:
            third = (high - low) / 3
            draw.rectangle((low, low + third, high, high - third), fill=fill)
            draw.rectangle((low + third, low, high - third, high), fill=fill)
    return image.resize((side + 4, side + 4), Image.Resampling.LANCZOS)
