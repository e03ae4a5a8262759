"""The reader reads each mutated picture or clip, or refuses it with a sentence."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

from app.reading.reader import Reader
from app.settings import Settings
from models.uploads.media import MediaError
from tests.fuzz.mutate import clip_seeds, disguises, mutated, picture_seeds
from tests.fuzz.watch import Watch

SHARE_DISGUISED = 0.05
ENDED = "was stopped while it read"  # the fork died
FAILED = "its reader failed on it"  # an unforeseen error


def fuzz(kind: str, count: int, seed: int, folder: Path) -> tuple[Counter[str], list[str]]:
    """Outcomes of `count` files by kind, and a sentence for each failure."""
    uploads, private = folder / "uploads", folder / "private"
    uploads.mkdir(exist_ok=True)
    private.mkdir(exist_ok=True)
    secret = private / "secret.ts"
    secret.write_bytes(b"nobody's business")
    seeds = picture_seeds(folder) if kind == "image" else clip_seeds(folder)
    tricks = disguises(secret)
    reader, watch = Reader(Settings(max_read_seconds=20)), Watch(private)
    reader.start()
    outcomes: Counter[str] = Counter()
    wrong: list[str] = []
    child = None
    for number in range(count):
        chance = random.Random(f"{seed} {kind} {number}")
        path = uploads / f"{kind}.{chance.choice(('png', 'jpg', 'mp4', 'webm'))}"
        disguised = chance.random() < SHARE_DISGUISED
        path.write_bytes(chance.choice(tricks) if disguised else mutated(seeds, chance))
        outcome, complaint = _read(reader, path)
        outcomes[outcome] += 1
        child = child or reader._child
        if outcome != "ended" and reader._child is not child:
            complaint = "the child that forks was replaced"
        if watch.opened():
            complaint = "a file that is no upload was opened"
        if complaint:
            wrong.append(f"{kind} {number} of seed {seed}: {complaint}")
        child = reader._child
    return outcomes, wrong


def _read(reader: Reader, path: Path) -> tuple[str, str]:
    """The outcome, and a complaint or an empty string."""
    try:
        media = reader.read(path, 4)
    except MediaError as error:
        sentence = str(error)
        if FAILED in sentence:
            return "failed", f"{sentence} {error.__cause__}"
        clear = sentence.endswith(".") and "\n" not in sentence and str(path.parent) not in sentence
        outcome = "ended" if ENDED in sentence else "refused"
        return outcome, "" if clear else f"no clear sentence: {sentence!r}"
    except Exception as error:
        return "crashed", repr(error)
    sound = media.frames.ndim == 4 and len(media.frames) == len(media.times) and media.frames.size
    return "read", "" if sound else f"frames of shape {media.frames.shape}"
