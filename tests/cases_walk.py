"""Gives every command of the walk in docs/cases.md as it is written, and takes the page's pictures.

`python -m tests.cases_walk` writes docs/cases-*.png.
"""

from __future__ import annotations

import contextlib
import io
import re
import shlex
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

from app.__main__ import main as app_main
from app.settings import ROOT, Settings

DOCS = ROOT / "docs"
APP = "python -m app "
WRONG = "right=vanilla&wrong=visionzip@0.222"
SIZE = 1280, 860  # of the pictures


def commands() -> list[str]:
    """The blocks of the walk that are to be run, in order."""
    return re.findall(r"^```bash\n(.*?)^```$", (DOCS / "cases.md").read_text(), re.M | re.S)


def walk(folder: Path) -> str:
    """Give the commands in a folder that has nothing but assets/; what they print.

    Those of this project run in this process: starting it for each would take longer than they do.
    """
    (folder / "assets").symlink_to(ROOT / "assets")
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()) as said:
        for block in commands():
            lines = block.splitlines()
            ours = [line for line in lines if line.startswith(APP)]
            others = lines[: len(lines) - len(ours)]
            assert lines == [*others, *ours], "the commands of this project end a block"
            subprocess.run(["bash", "-euc", "\n".join(others)], check=True)
            for command in ours:
                assert app_main(shlex.split(command.removeprefix(APP))) == 0, command
    return said.getvalue()


def pictures(folder: Path) -> None:
    from tests.app.browser import launched, served, tab
    from tests.app.fake_worker import FakeWorker

    settings = replace(Settings(), cases=str(folder / "runs"))
    with launched() as chromium, tab(chromium, *SIZE) as page:
        with served(FakeWorker(), settings) as url:
            page.goto(f"{url}cases?run=photos&{WRONG}")
            page.locator("#cases .cards img").first.wait_for()
            page.screenshot(path=DOCS / "cases-list.png")
            page.locator("#cases .cards a").first.click()
            page.locator("#case h2").wait_for()
            page.keyboard.press("1")
            page.locator("#case button[aria-pressed=true]").wait_for()
            page.locator("#tag").fill("place lost")
            page.locator("#tag").press("Enter")
            page.get_by_role("button", name="place lost ×").wait_for()
            page.locator("#board .lane-picture canvas").first.wait_for(state="attached")
            page.wait_for_timeout(2000)  # until the pictures are drawn
            page.screenshot(path=DOCS / "cases-case.png")
        page.goto((folder / "photos.html").as_uri())
        page.locator("article img").first.wait_for()
        part = {"x": 0, "y": 0, "width": SIZE[0], "height": 590}
        page.screenshot(path=DOCS / "cases-export.png", clip=part)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        print(walk(Path(folder)))
        pictures(Path(folder))


if __name__ == "__main__":
    main()
