"""The gallery: what every method does to one picture, and those for clips to one clip."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from PIL import Image
from PIL.PngImagePlugin import PngInfo

from app.docs.examples import RATIOS, SHOWN, Shown
from app.render.gallery import Run, clip_gallery, picture_gallery
from app.render.method_text import Method
from app.settings import EXAMPLES, ROOT
from models.catalog import find
from models.engine.pipeline import run_lane
from models.engine.record import LaneResult
from models.loading import load
from models.uploads.media import Media
from models.uploads.read import read_media
from pruning.base import CompressionMethod
from pruning.budget import BudgetError
from pruning.methods import METHODS, create
from pruning.trace import TokenTrace

FOLDER = ROOT / "docs"
COLOURS = 255  # of a file: enough for these pictures, and a third of the size


def draw(folder: Path = FOLDER) -> Iterator[Path]:
    """`gallery-image.png` and `gallery-video.png`; each names its methods, for a test to read."""
    folder.mkdir(parents=True, exist_ok=True)
    for kind, paint in (("image", picture_gallery), ("video", clip_gallery)):
        methods = methods_for(kind)
        small = paint(*run_all(SHOWN[kind], methods)).quantize(COLOURS, dither=Image.Dither.NONE)
        who = PngInfo()
        who.add_text("Methods", " ".join(method.name for method in methods))
        path = folder / f"gallery-{kind}.png"
        small.save(path, optimize=True, pnginfo=who)
        yield path


def methods_for(kind: str) -> list[Method]:
    """Those with a ratio; beside a clip those for clips alone."""
    fitting = [method for method in METHODS if hasattr(method, "retention_ratio")]
    return [m for m in fitting if (kind in m.media if kind == "image" else m.media == {kind})]


def run_all(shown: Shown, methods: Sequence[Method]) -> tuple[Media, list[Run]]:
    """Each method at each ratio, in that order."""
    adapter = load(shown.model)
    media = read_media(EXAMPLES / shown.file, find(shown.model).frames)

    def trace(method: CompressionMethod) -> TokenTrace:
        *_, result = run_lane(adapter, media, shown.question, method, max_new_tokens=1)
        assert isinstance(result, LaneResult)
        return result.trace

    return media, [run for method in methods for run in runs_of(method, trace)]


def runs_of(method: Method, trace: Callable[[CompressionMethod], TokenTrace]) -> Iterator[Run]:
    """A method at each ratio; below its smallest one, that one, and once."""
    drawn = False
    for ratio in RATIOS:
        try:
            yield Run(method.title, ratio, trace(create(method.name, retention_ratio=ratio)))
        except BudgetError as refusal:
            least = create(method.name, retention_ratio=refusal.smallest)
            yield Run(method.title, ratio, None if drawn else trace(least), refusal.smallest)
            drawn = True
