"""What the browser asks of the Cases page: an address, a remark, a live run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import gradio as gr

from app.cases.filters import VANILLA, Filter, parse_filter
from app.cases.imports import KEPT
from app.cases.library import Library, Owner
from app.cases.people import People
from app.cases.store import Run
from app.guard.folder_quota import folder_bytes
from app.guard.gradio_internals import upload_folder
from app.guard.middleware import FULL
from app.guard.visitors import is_local

LEAST_SECRET = 16  # characters


@dataclass(frozen=True)
class Asked:
    """What an address of the page names."""

    run: str
    filter: Filter
    case: str = ""
    page: int = 0
    query: str = ""

    @classmethod
    def parse(cls, query: str, library: Library, owner: Owner) -> Asked:
        """Raises `ValueError` with one sentence for a run or case that is not there."""
        given = {name: values[-1] for name, values in parse_qs(query, max_num_fields=50).items()}
        names = library.names(owner)
        if not names:
            raise ValueError("There is no run of cases here: see docs/cases.md.")
        name, case = given.get("run", names[0]), given.get("case", "")
        if case not in ("", *library.run(name, owner).asked):
            raise ValueError(f"The run {name[:60]} has no case {case[:40]}.")
        page = given.get("page", "0")
        number = int(page) if page.isdecimal() and len(page) < 7 else 0
        return cls(name, parse_filter(query), case, number, query)


def check_room(library: Library, owner: Owner) -> None:
    """Raises `ValueError` where remarks count as uploads and the folder of uploads is full."""
    most = library.settings.max_stored_mb * 1_000_000
    if not library.lasts(owner) and folder_bytes(upload_folder()) > most:
        raise ValueError(FULL)


def remark(people: People, case: str, act: str, value: str) -> None:
    """Save what a person says about a case; to say it again changes nothing."""
    if not case:
        raise ValueError("No case is open.")
    if act == "verdict":
        people.judge(case, value)
    elif act in ("tag", "untag"):
        people.tag(case, value, on=act == "tag")
    elif act == "note":
        people.note(case, value)
    else:
        raise ValueError(f"The act is {act[:20]!r}, wanted verdict, tag, untag or note.")


def save_remark(data: Mapping[str, Any], library: Library, request: gr.Request) -> None:
    """Save one that the browser sends: `query`, `own`, `act`, `value`.

    Raises:
        ValueError: It cannot be saved, in one sentence.
    """
    owner = owner_of(request, data.get("own"))
    asked = Asked.parse(str(data.get("query", "")), library, owner)
    check_room(library, owner)
    people = library.people(asked.run, owner)
    remark(people, asked.case, str(data.get("act", "")), str(data.get("value", "")))


def asked_again(
    lanes: Sequence[dict[str, Any]], lane: str, most: int, titles: Mapping[str, str]
) -> tuple[list[str], float]:
    """Names of methods and the ratio of a live run: that of `lane`, or of the first method.

    Args:
        titles: Names of methods by title: a kept lane "nuwa@0.222" may be a preset of Nüwa.
    """
    ratios, names = {}, {}
    for one in lanes:
        if one["name"] != VANILLA:
            name, _, ratio = one["name"].rpartition("@")
            ratios[one["name"]] = ratio.partition(" ")[0]  # a title tells equal lanes apart
            names[one["name"]] = titles.get(one.get("title", ""), name)
    ratio = ratios.get(lane) or next(iter(ratios.values()), "0.222")
    return [names[one] for one, at in ratios.items() if at == ratio][: most - 1], float(ratio)


def numbering(lanes: Sequence[dict[str, Any]]) -> str:
    """The position strategy of a run's methods, by the first one that has it as a knob."""
    knobs = [one.get("knobs", {}) for one in lanes if one["name"] != VANILLA]
    return next((str(one["numbering"]) for one in knobs if "numbering" in one), "published")


def owner_of(request: gr.Request, secret: object = "") -> Owner:
    """Whose remarks and set a request reads and writes.

    Args:
        secret: That the browser keeps over pages and reloads; a program has its session alone,
            and an assistant (MCP) not even that.
    """
    key, session = plain(secret), plain(getattr(request, "session_hash", ""))
    folder = upload_folder() / "cases" / (key if len(key) >= LEAST_SECRET else session or "unnamed")
    username = str(getattr(request, "username", "") or "")
    login = plain(username)
    if login != username:  # two logins never share a name
        login += hashlib.sha256(username.encode()).hexdigest()[:8]
    return Owner(folder, login, trusted=bool(username) or is_local(request))


def plain(text: object) -> str:
    """Letters and digits alone: a name in a folder of ours."""
    return "".join(one for one in str(text or "") if one.isascii() and one.isalnum())[:40]


def sources(run: Run) -> str:
    """A sentence on where the lanes come from."""
    imported = ", ".join(
        f"{lane['name']} from {lane['source']}{'' if lane['source'] == KEPT else ', no overlay'}"
        for lane in run.imported
    )
    count, answered, bad = len(run.cases), len(run.asked), len(run.bad)
    left = f" {bad:,} row{'s were' if bad > 1 else ' was'} left out." if bad else ""
    partly = f", {answered:,} with answers" if answered < count else ""  # the run goes on
    cases = f"{count:,} case{'s' * (count != 1)} of {run.about['source']}{partly}"
    sentence = f"{run.name}: {cases}.{left}"
    return f"{sentence} Imported: {imported}." if imported else sentence
