"""Opens a case set: a folder, a table, a COCO file, the shipped examples or drawn questions."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

from app.cases.cells import read_cells
from app.cases.coco import is_coco, read_coco
from app.cases.record import Box, Case, CaseSet, UnwrittenError, case_id
from app.cases.scores import metric_for
from app.cases.tables import ENDINGS, Row, read_json, read_rows, sort_rows, too_many
from app.drawn import draw_questions
from app.example_uploads import examples, examples_of, file_digest
from app.reading.pool import read_upload
from app.settings import EXAMPLES, Settings
from models.embedded.world.hard import find_split, hard_scene
from models.embedded.world.questions import Question
from models.embedded.world.scenes import evaluation_seed
from models.uploads.container import is_clip
from models.uploads.media import LIMITS, Media, MediaError
from models.uploads.read import local_file, open_picture

SHIPPED = "examples"
DRAWN, KINDS = "drawn", ("image", "video")
EXTRACTED = "bytes:"  # before the name of a file that was written for a picture's bytes
ROUNDED = 0.01  # of a box in fractions: left + width may pass 1
NAMES = tuple(f"cases{ending}" for ending in ENDINGS)
ORIENTATION, TURNED = 0x0112, (5, 6, 7, 8)  # EXIF, and its values that swap width and height
FORMS = (
    "a folder with cases.jsonl or cases.csv, a .jsonl, .csv, .tsv, .json or .parquet file, "
    "examples (or examples:image), or drawn:image:300:7"
)


def read_set(
    source: str, settings: Settings, extracted: Path, pictures: Path | None = None
) -> CaseSet:
    """The cases of a set, and the rows that are not cases, with reasons.

    Args:
        source: See `FORMS`.
        extracted: Folder for pictures that the set holds as bytes.
        pictures: Folder that file names are relative to; default: that of the set's file.

    Raises:
        ValueError: The source is no set, has too many rows, or no case at all; or its pictures
            cannot be written.
    """
    if source.split(":")[0] == DRAWN:
        return _drawn(source, settings.max_cases)
    shipped = source.split(":")[0] == SHIPPED
    path = EXAMPLES / "examples.json" if shipped else Path(source)
    if not path.exists():
        raise ValueError(f"There is no case set {source}; wanted {FORMS}.")
    root = (pictures or (path if path.is_dir() else path.parent)).resolve()
    rows = _examples(source.partition(":")[2]) if shipped else _rows(path, settings.max_cases)
    return _collect(source, Pictures(root, extracted), rows)


def media_of(case: Case, root: Path, extracted: Path, frames: int, settings: Settings) -> Media:
    """The picture or clip of a case.

    Raises `ValueError` with one sentence, also for a file that is not the one of the case's id:
    tokens of one picture must not be drawn over another.
    """
    if not case.picture:
        raise MediaError("The picture of this case is not known here.")
    if case.picture.startswith(f"{DRAWN}:"):
        _, kind, split, index = case.picture.split(":")
        media = _draw(kind, split, int(index))
        digest = media.digest
    else:
        file = picture_file(case.picture, root, extracted)
        media, digest = read_upload(file, frames, settings), file_digest(file)
    if case_id(digest, case.question) != case.id:
        raise MediaError(
            f"{case.picture[-60:]} is another picture than the one that was asked. "
            "Put that one back, or run the set again in another folder."
        )
    return media


def _rows(path: Path, most: int) -> Iterator[Row]:
    if path.is_dir():
        named = [path / name for name in NAMES if (path / name).is_file()]
        files = named[:1] or sorted(path.rglob("*.parquet")) or sorted(path.glob("*.json"))[:1]
        if not files:
            raise ValueError(f"{path.name} has no {', '.join(NAMES[:-1])} or {NAMES[-1]}.")
    else:
        files = [path]
    number = count(1)
    for file in files:
        content = read_json(file) if file.suffix == ".json" else None
        rows = read_coco(file, content, most) if is_coco(content) else read_rows(file, most)
        for row in rows:
            if next(number) > most:
                raise ValueError(too_many(path, f"more than {most:,}", most))
            yield row


def _examples(kind: str) -> Iterator[Row]:
    """Of one kind of upload, or of all for ""."""
    for example in examples_of(kind) if kind else examples():
        for number, entry in enumerate(example["questions"], start=1):
            row = {key: value for key, value in entry.items() if value is not None}
            yield f"{example['file']}, question {number}", {"file": example["file"], **row}


def _collect(source: str, pictures: Pictures, rows: Iterator[Row]) -> CaseSet:
    found, bad = sort_rows(rows, lambda row, place, number: (pictures.case(row, place, number), 0))
    if not found:
        first = f": {bad[0].place}: {bad[0].reason}" if bad else "."
        raise ValueError(f"{source} has no case that can be asked{first}")
    cases = tuple(case for case, _ in found.values())
    return CaseSet(source, pictures.root, pictures.extracted, cases, tuple(bad))


class Pictures:
    """Finds, checks and identifies the pictures of a set."""

    def __init__(self, root: Path, extracted: Path) -> None:
        self.root, self.extracted = root, extracted
        self._digests: dict[Path, str] = {}
        self._by_index: dict[str, str] = {}  # VLMEvalKit's rows may name another row's picture

    def case(self, row: dict[str, Any], place: str, number: int) -> Case:
        """Raises `ValueError` for a file that is missing, outside, or no picture or clip."""
        cells = read_cells(row)
        index = str(row.get("index", number))
        name = self._by_index.get(cells.picture) if isinstance(cells.picture, str) else None
        name = name or self._name(cells.picture)
        self._by_index[index] = name
        file = picture_file(name, self.root, self.extracted)
        if file not in self._digests:
            self._digests[file] = _checked_digest(file)
        box = cells.box and _fractions(cells.box, file)
        return Case(
            id=case_id(self._digests[file], cells.question),
            picture=name,
            question=cells.question,
            answers=cells.answers,
            box=box,
            kind=cells.kind,
            tags=cells.tags,
            metric=cells.metric,
            locate=cells.locate,
            place=place,
            index=index,
        )

    def _name(self, picture: str | bytes) -> str:
        """A path below the root, or of a file that is written for the bytes."""
        if isinstance(picture, str):
            return picture
        name = hashlib.sha256(picture).hexdigest()[:24]
        if not (self.extracted / name).exists():
            fresh = self.extracted / f".{name}.new"  # a partial file would never be replaced
            try:
                self.extracted.mkdir(parents=True, exist_ok=True)
                fresh.write_bytes(picture)
                os.replace(fresh, self.extracted / name)
            except OSError as error:
                raise UnwrittenError(
                    f"The pictures of the set cannot be written: {error.strerror}. Free disk "
                    "space, and give the same command again."
                ) from None
        return EXTRACTED + name


def picture_file(name: str, root: Path, extracted: Path) -> Path:
    """The file of a picture's name. Raises `ValueError` for a path that leaves the folder."""
    if name.startswith(EXTRACTED):
        root, name = extracted, name.removeprefix(EXTRACTED)
    file = (root / name).resolve()
    if Path(name).is_absolute() or not file.is_relative_to(root.resolve()):
        raise ValueError(
            f"The file {name[-60:]} is outside the folder of the set; give a path below it, "
            "or name the folder of the pictures with --pictures."
        )
    return local_file(file)


def _checked_digest(file: Path) -> str:
    """sha256 of a file that begins like a picture or a clip."""
    if not is_clip(file):
        open_picture(file, LIMITS).close()
    return file_digest(file)


def _fractions(box: Box, file: Path) -> Box:
    """A box in fractions, or in pixels where a side is over 1, as fractions."""
    if max(box) <= 1 + ROUNDED:
        left, top, right, bottom = box
        return left, top, min(right, 1.0), min(bottom, 1.0)
    if is_clip(file):
        raise ValueError("The box of a clip is in pixels, wanted fractions of its last frame.")
    with open_picture(file, LIMITS) as picture:
        width, height = picture.size
        if picture.getexif().get(ORIENTATION) in TURNED:
            width, height = height, width
    left, top, right, bottom = box
    if right > width + 1 or bottom > height + 1:
        raise ValueError(
            f"The box reaches to {right:g}, {bottom:g}; the picture has {width} x {height} pixels."
        )
    return left / width, top / height, min(right / width, 1.0), min(bottom / height, 1.0)


def _drawn(source: str, most: int) -> CaseSet:
    """ "drawn:image:300:7": 300 questions about scenes from number 7 on; ":clutter" may follow."""
    _, kind, questions, first, *split = [*source.split(":"), "", ""][:4] + source.split(":")[4:]
    if kind not in KINDS or not questions.isdecimal() or not first.isdecimal() or len(split) > 1:
        raise ValueError(f"The set is {source}, wanted drawn:image:300:7 or drawn:video:300:7.")
    hardness, wanted = "".join(split) or "plain", int(questions)
    find_split(hardness)
    if not 0 < wanted <= most:
        raise ValueError(f"{wanted:,} cases came, wanted 1 to {most:,}: see TOKENSCOPE_MAX_CASES.")
    cases: dict[str, Case] = {}
    for index in count(int(first)):
        for media, question, _ in draw_questions(kind, 1, index, find_split(hardness)):
            answers = (question.answer,)
            case = Case(
                id=case_id(media.digest, question.text),
                picture=f"{DRAWN}:{kind}:{hardness}:{index}",
                question=question.text,
                answers=answers,
                box=_object(kind, index, hardness, question),
                kind=question.sort,
                metric=metric_for(answers, question.box is not None, False),
                place=f"{kind} {index}",
                index=str(len(cases)),
            )
            cases.setdefault(case.id, case)
            if len(cases) == wanted:
                return CaseSet(source, Path(), Path(), tuple(cases.values()))
    raise AssertionError("drawing does not end")


def _draw(kind: str, split: str, index: int) -> Media:
    return next(draw_questions(kind, 1, index, find_split(split)))[0]


def _object(kind: str, index: int, split: str, question: Question) -> Box | None:
    """The box of the one object that a question is about."""
    box = question.box
    if box is None and kind == "image" and len(question.subjects) == 1:
        scene = hard_scene(find_split(split), evaluation_seed(index))
        box = scene.things[question.subjects[0]].box
    if box is None:
        return None
    left, top, right, bottom = map(float, box)
    return left, top, right, bottom
