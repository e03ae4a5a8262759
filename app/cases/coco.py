"""Cases of a JSON file in COCO's form: an expression or a category, and its box."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from app.cases.record import BadRow
from app.cases.tables import Row, too_many


def is_coco(content: Any) -> bool:
    return isinstance(content, Mapping) and {"images", "annotations"} <= content.keys()


def read_coco(path: Path, content: Mapping[str, Any], most: int) -> Iterator[Row]:
    """A row for each expression of RefCOCO, or each object of COCO that is alone of its category.

    RefCOCO's expressions stand in `sentences`, `expression` or `caption` of an annotation, or in
    `caption` of its image. Of several objects of one category, a question could mean any.

    Raises `ValueError` with one sentence for over `most` annotations, or a field that is missing.
    """
    if len(content["annotations"]) > most:
        raise ValueError(too_many(path, f"{len(content['annotations']):,}", most))
    try:
        yield from _rows(path, content)
    except (LookupError, TypeError, AttributeError) as error:
        raise ValueError(
            f"{path.name} is no COCO file: a field is missing or odd: {error}."
        ) from None


def _rows(path: Path, content: Mapping[str, Any]) -> Iterator[Row]:
    images = {image["id"]: image for image in content["images"]}
    names = {one["id"]: one["name"] for one in content.get("categories", ())}
    alike = Counter(_same(one) for one in content["annotations"])
    skipped: dict[str, int] = defaultdict(int)
    for one in content["annotations"]:
        place = f"{path.name}, annotation {one.get('id', '?')}"
        image = images.get(one.get("image_id"))
        if image is None or "bbox" not in one:
            yield place, BadRow(place, "The annotation has no bbox, or an image_id without image.")
            continue
        category = names.get(one.get("category_id"), "")
        expressions = _expressions(one, image)
        if not expressions and category and alike[_same(one)] == 1:
            expressions = [f"the {category}"]
        if not expressions:
            skipped[category or "nameless"] += 1
        for expression in expressions:
            yield (
                place,
                {
                    "file": image["file_name"],
                    "locate": expression,
                    "bbox": one["bbox"],
                    "kind": category or "expression",
                },
            )
    for category, count in skipped.items():
        reason = f"{count} objects have another {category} in their picture, and no expression."
        yield path.name, BadRow(path.name, reason)


def _same(annotation: Mapping[str, Any]) -> tuple[Any, Any]:
    return annotation.get("image_id"), annotation.get("category_id")


def _expressions(annotation: Mapping[str, Any], image: Mapping[str, Any]) -> list[str]:
    given = annotation.get("sentences") or annotation.get("expression") or annotation.get("caption")
    given = given or image.get("caption") or []
    texts = [given] if isinstance(given, str) else list(given)
    return [str(text["sent"] if isinstance(text, Mapping) else text) for text in texts]
