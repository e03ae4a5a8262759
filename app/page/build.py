"""Builds the page and serves it."""

from __future__ import annotations

import os
import signal
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from app.guard.upload_folder import name_folder, open_folder

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # the log is JSON: no bar in it
os.environ.setdefault("GRADIO_HEARTBEAT_INTERVAL", "1")  # seconds until a closed tab is noticed
# A folder of this process, because the page deletes files in it.
os.environ["GRADIO_TEMP_DIR"] = str(name_folder(os.environ.get("GRADIO_TEMP_DIR")))

import gradio as gr
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware

from app.cases.library import Library
from app.guard.allocator import limit_arenas
from app.guard.blocks import Blocks
from app.guard.expiry import SCAN_SECONDS, start_expiry
from app.guard.gradio_internals import upload_folder
from app.guard.middleware import GuardMiddleware
from app.guard.sessions import HOUR, session_cleanup
from app.guard.visitors import Visitors
from app.logs import log_as_json
from app.page.admission import Admission
from app.page.api import endpoints
from app.page.cases import cases_view
from app.page.cases_api import cases_endpoints, remark_endpoint
from app.page.compare import compare_view
from app.page.documents import PAGES, document_view
from app.page.header import TITLE, header
from app.page.opening import story
from app.reading.pool import pool
from app.settings import Settings
from app.worker.protocol import Worker
from app.worker.start import jobs_at_once, start_worker

PRIVACY = (
    "Uploads and results stay on this server and are deleted after an hour, within five minutes. "
    "The log holds neither names, addresses nor questions. Do not upload anything secret."
)
SESSIONS = 2000  # that Gradio keeps, at 20 kB each beside the comparisons
HERE = Path(__file__).parent
# Each uses those before it.
SCRIPTS = ("page.js", "tokens_draw.js", "tokens.js", "tokens_follow.js", "analysis.js")
HEADER = "header.css"
STYLES = ("style.css", "tokens.css", "sweep.css", "gaze.css", "cases.css", "analysis.css")


def build(worker: Worker, settings: Settings) -> Blocks:
    """The page, connected to a worker."""
    open_folder(upload_folder())  # before Gradio puts the examples in
    visitors, device = Visitors(), listening(settings)
    admission = Admission(worker, settings, visitors)
    # At the end, Gradio also deletes the files that it knows to be this page's.
    with Blocks(visitors, title=TITLE, fill_width=True, delete_cache=(SCAN_SECONDS, HOUR)) as demo:
        header(settings)
        compare_view(demo, admission, **device)
        endpoints(admission, **device)
        gr.HTML(f"<p>{PRIVACY}</p>", elem_id="privacy", apply_default_css=False)
        demo.unload(visitors.on_unload)
    with demo.route("Cases", "/cases"):
        header(settings)
        cases_view(demo, admission, **device)
        cases_endpoints(library := Library(settings))
        remark_endpoint(library)
    for heading, name in PAGES.items():
        with demo.route(heading, f"/{name}"):
            header(settings)
            document_view(demo, name, settings)
    demo.queue(max_size=4 * _held(settings), api_open=False)  # nothing runs beside the queue
    return demo


def listening(settings: Settings) -> dict[str, Any]:
    """Options of every listener that uses the device.

    Visitors wait in the worker's queue, which shows their position. Gradio's queue lets in more
    than that one holds, so that the rest get the message that it is full.
    """
    return {"concurrency_id": "device", "concurrency_limit": 2 * _held(settings)}


def _held(settings: Settings) -> int:
    """Comparisons that wait or run."""
    return settings.queue_size + jobs_at_once(settings)


def launch(demo: Blocks, settings: Settings, **options: Any) -> Any:
    """`demo.launch` with TokenScope's options; `options` replace them."""
    if settings.mcp and find_spec("mcp") is None:  # Gradio would serve without it
        raise ValueError("TOKENSCOPE_MCP needs a package: pip install 'mcp>=1.21,<2'.")
    if settings.mcp and settings.users:  # Gradio calls /cases for an assistant without a login
        raise ValueError(
            "TOKENSCOPE_MCP and TOKENSCOPE_USERS are set, and assistants have no login: unset one."
        )
    pool(settings).start()
    start_expiry(demo)
    # Gradio compresses its scripts; the page itself is as large, and becomes a fifth.
    compress = Middleware(GZipMiddleware, minimum_size=10_000, compresslevel=5)
    guard = Middleware(GuardMiddleware, settings=settings, page=demo)
    return demo.launch(
        **{
            "theme": theme(),
            "css_paths": [HERE / name for name in STYLES],
            "head": f"<style>{(HERE / HEADER).read_text()}</style>"
            + "".join(f"<script>{(HERE / name).read_text()}</script>" for name in SCRIPTS),
            "favicon_path": HERE / "favicon.svg",
            "footer_links": ["api"],
            "max_file_size": settings.max_upload_mb * 1_000_000,
            "auth": settings.logins() or None,
            "app_kwargs": {"middleware": [compress, guard], "lifespan": session_cleanup},
            "state_session_capacity": SESSIONS,
            "max_threads": 40 + 2 * _held(settings),  # each comparison occupies one
            "ssr_mode": False,
            "enable_monitoring": False,
            "run_history": False,
            "show_error": bool(settings.debug),
            "pwa": False,
            "mcp_server": bool(settings.mcp),
            # Without Gradio's check that the page answers within three seconds: a busy machine may
            # be slower, and Gradio would refuse to start.
            "_frontend": False,
        }
        | options
    )


def serve(settings: Settings, *, host: str = "127.0.0.1", port: int = 7860) -> None:
    """Serve the page until interrupted."""
    log_as_json()
    worker = start_worker(settings)
    story()  # drawn before the first visitor comes
    worker.preload()
    stay(build(worker, settings), settings, server_name=host, server_port=port)


def stay(demo: Blocks, settings: Settings, **options: Any) -> None:
    """Launch a built page and serve it until interrupted or terminated."""
    limit_arenas()  # before the server has its many threads
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that uploads are deleted
    launch(demo, settings, prevent_thread_lock=True, **options)
    log_as_json()  # again: the server and transformers have set up their own logs
    demo.block_thread()


def theme() -> gr.themes.Base:
    """Greys and one blue, with system fonts, so that browsers fetch none."""
    fonts = ["system-ui", "Segoe UI", "Roboto", "Helvetica Neue", "Arial", "sans-serif"]
    return gr.themes.Base(
        primary_hue=gr.themes.colors.blue,
        neutral_hue=gr.themes.colors.slate,
        spacing_size=gr.themes.sizes.spacing_sm,
        radius_size=gr.themes.sizes.radius_md,
        text_size=gr.themes.sizes.text_md,
        font=fonts,
        font_mono=["ui-monospace", "SFMono-Regular", "Menlo", "monospace"],
    )
