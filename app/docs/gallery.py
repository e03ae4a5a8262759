"""Draws the gallery: every method on one picture, and the methods for clips on one clip."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from app.docs.examples import RATIOS, SHOWN, Shown
from app.measure.asking import Case, Refusal, ask
from app.render.gallery import Run, clip_gallery, picture_gallery
from app.render.method_text import Method
from app.settings import EXAMPLES, ROOT
from models.catalog import find
from models.loading import load
from models.uploads.media import Media
from models.uploads.read import read_media
from pruning.base import CompressionMethod
from pruning.methods import METHODS, create
from pruning.trace import TokenTrace

FOLDER = ROOT / "docs"
COLOURS = 255  # of a file; a third of the size of true colour

Trace = Callable[[Sequence[CompressionMethod]], Sequence[TokenTrace | Refusal]]


def draw(folder: Path = FOLDER) -> Iterator[Path]:
    """Writes `gallery-image.png` and `gallery-video.png`; their metadata names the methods."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, paint in (("image", picture_gallery), ("video", clip_gallery)):
        methods = methods_for(kind)
        small = paint(*run_all(SHOWN[kind], methods)).quantize(COLOURS, dither=Image.Dither.NONE)
        metadata = PngInfo()
        metadata.add_text("Methods", " ".join(method.name for method in methods))
        path = folder / f"gallery-{kind}.png"
        small.save(path, optimize=True, pnginfo=metadata)
        yield path


def methods_for(kind: str) -> list[Method]:
    """Methods with a ratio: all that take a picture, or those that take clips alone."""
    fitting = [method for method in METHODS if hasattr(method, "retention_ratio")]
    return [m for m in fitting if (kind in m.media if kind == "image" else m.media == {kind})]


def run_all(shown: Shown, methods: Sequence[Method]) -> tuple[Media, list[Run]]:
    """Each method at each ratio, in that order."""
    adapter = load(shown.model)
    media = read_media(EXAMPLES / shown.file, find(shown.model).frames)

    def trace(lanes: Sequence[CompressionMethod]) -> list[TokenTrace | Refusal]:
        lanes = tuple(lanes)
        case = Case(shown.file, media, shown.question, lanes, max_new_tokens=1, gaze=shown.gaze)
        return ask(adapter, case, lambda _, result: result.trace)

    return media, [run for method in methods for run in runs_of(method, trace)]


def runs_of(method: Method, trace: Trace) -> Iterator[Run]:
    """A method at each ratio; the first refused ratio runs at the smallest accepted one."""
    lanes = [create(method.name, retention_ratio=ratio) for ratio in RATIOS]
    drawn = False
    for ratio, found in zip(RATIOS, trace(lanes), strict=True):
        if not isinstance(found, Refusal):
            yield Run(method.title, ratio, found)
            continue
        if found.smallest is None:
            raise ValueError(found.reason)
        least = None if drawn else trace([create(method.name, retention_ratio=found.smallest)])[0]
        yield Run(method.title, ratio, least, found.smallest)
        drawn = True
