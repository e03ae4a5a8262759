"""Every line of the log is JSON and quotes no visitor."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

pytestmark = [pytest.mark.security, pytest.mark.slow]

SECRET = "What is on the letter to my doctor?"

# In a separate process, because a log belongs to the whole process.
SERVED = f"""
import asyncio, logging, sys, threading, urllib.error, urllib.request, warnings
from app.settings import Settings
from app.page import build as page
from tests.app.fake_worker import FakeWorker
from tests.app.full_disk import press

class Broken:
    def __init__(self, app): pass
    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            raise RuntimeError({SECRET!r})

def breaking():
    for save in (one for one in demo.fns.values() if one.name == "keep"):
        told = press(demo.local_url, save._id, [{SECRET!r}, None][-len(save.inputs):])["told"]
        assert "no finished comparison" in told, told
    demo.app.middleware_stack = Broken(None)
    try:
        urllib.request.urlopen(demo.local_url)
    except urllib.error.HTTPError as error:
        assert error.code == 500

demo = page.build(FakeWorker(), Settings())
demo.block_thread = breaking
import app.worker.local  # as a page does, and with it transformers
page.log_as_json()
page.stay(demo, Settings(), quiet=True)
import transformers
transformers.utils.logging.get_logger("transformers.test").warning("of transformers")
assert not transformers.utils.logging.is_progress_bar_enabled()
logging.getLogger("asyncio").error("exception={SECRET}", exc_info=RuntimeError({SECRET!r}))
logging.getLogger("app.test").info("our own")
warnings.warn("a warning")
demo.close(verbose=False)
"""


def test_every_line_of_the_log_is_json_and_quotes_no_visitor():
    ran = subprocess.run([sys.executable, "-c", SERVED], capture_output=True, text=True, check=True)
    lines = [json.loads(line) for line in ran.stderr.splitlines()]
    said = {line["logger"]: line for line in lines}
    assert {"uvicorn.error", "transformers.test", "asyncio", "app.test", "py.warnings"} <= set(said)
    assert said["uvicorn.error"]["error"] == "RuntimeError" and said["uvicorn.error"]["places"]
    assert SECRET not in ran.stderr
