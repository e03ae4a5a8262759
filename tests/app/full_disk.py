"""A page whose disk is full: `python -m tests.app.full_disk <folder>`.

The folder is a small file system and the upload folder. Prints a JSON line for each requested file:
the free space, the message to the visitor, the last state of the button and the files.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request
from pathlib import Path
from typing import Any

from app.page import build as page
from app.page.held import HeldComparison
from app.settings import Settings
from tests.app import clips, factory
from tests.app.fake_worker import FakeWorker

VISITOR = "a-tab"
ROOM = (0, 8, 64, None)  # kB; None = enough


def main(folder: Path) -> None:
    demo = page.build(FakeWorker(), Settings())
    demo.block_thread = lambda: None
    page.log_as_json()
    page.stay(demo, Settings(max_requests_per_minute=0), quiet=True)
    before, filler = set(folder.rglob("*")), folder / "filler"
    saves = [one for one in demo.fns.values() if one.name in ("save_recording", "save_clip")]
    inputs = max(saves, key=lambda save: len(save.inputs)).inputs
    saves = [one for one in saves if one.inputs[-1] is inputs[-1]]  # not those of another page
    compared(demo.app.state_holder[VISITOR], inputs)
    for room in ROOM:
        filler.unlink(missing_ok=True)
        if room is not None:
            fill(filler, room * 1024)
        for save in saves:
            told = press(demo.local_url, save._id, [0, None][-len(save.inputs) :])
            made = set(folder.rglob("*")) - before - {filler}
            told["files"] = sorted(one.name for one in made if one.is_file())
            print(json.dumps({"room": room} | told))
    demo.close(verbose=False)


def compared(session: Any, inputs: list[Any]) -> None:
    """Store a comparison of a clip in the session."""
    _lane, state = inputs
    ran = factory.lane("tree", "Tree", clips.trace(), "A ball.")
    session[state._id] = HeldComparison(factory.comparison(media=clips.grey(), lanes=(ran,)))


def fill(filler: Path, left: int) -> None:
    """Fill the file system up to `left` bytes."""
    status = os.statvfs(filler.parent)
    with filler.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, status.f_bavail * status.f_frsize - left)


def press(url: str, listener: int, data: list[Any]) -> dict[str, Any]:
    """Send the request of a pressed button."""
    asked = {"data": data, "fn_index": listener, "session_hash": VISITOR}
    queue, headers = f"{url}gradio_api/queue/", {"Content-Type": "application/json"}
    request = urllib.request.Request(f"{queue}join", json.dumps(asked).encode(), headers)
    urllib.request.urlopen(request, timeout=120).close()
    button: dict[str, Any] = {}
    with urllib.request.urlopen(f"{queue}data?session_hash={VISITOR}", timeout=120) as stream:
        for line in filter(lambda line: line.startswith(b"data:"), stream):
            told = json.loads(line.removeprefix(b"data:"))
            if told["msg"] == "process_completed":
                break
            if told["msg"] == "process_generating":
                sent = told["output"]["data"][0]  # later ones as [["replace", [], value]]
                button |= sent if isinstance(sent, dict) else sent[0][2]
    return {"told": told["output"].get("error"), "button": button}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
