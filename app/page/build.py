"""The page put together, and how it is served."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from app.guard.upload_folder import default_folder, make_private

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # read when gradio is imported
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")  # the log is JSON: no bar in it
os.environ.setdefault("GRADIO_HEARTBEAT_INTERVAL", "1")  # seconds until a closed tab is noticed
# A folder of our own: it is swept, and other pages of Gradio on this machine have theirs.
os.environ.setdefault("GRADIO_TEMP_DIR", str(default_folder()))

import gradio as gr
from starlette.middleware import Middleware

from app.guard.allocator import limit_arenas
from app.guard.blocks import Blocks
from app.guard.expiry import SCAN_SECONDS, start_expiry
from app.guard.gradio_internals import upload_folder
from app.guard.middleware import GuardMiddleware
from app.guard.sessions import HOUR, session_cleanup
from app.guard.visitors import Visitors
from app.logs import log_as_json
from app.page.api import compare_endpoint
from app.page.choices import model_choices
from app.page.compare import compare_view
from app.page.inputs import ChoiceInput
from app.reading.pool import pool
from app.settings import Settings
from app.worker.protocol import Worker
from app.worker.start import jobs_at_once, start_worker

PRIVACY = (
    "Uploads and results stay on this server and are deleted after an hour, within five minutes. "
    "The log says neither who came nor what was asked. Do not upload what nobody else may see."
)
SESSIONS = 2000  # that Gradio remembers, of 20 kB each and what the shelf holds
HERE = Path(__file__).parent
TITLE = "TokenScope"
LINE = "What visual-token compression does to a picture and to the answer, side by side"


def build(worker: Worker, settings: Settings) -> Blocks:
    """The whole page around one worker."""
    make_private(upload_folder())  # before Gradio puts the examples in
    visitors, device = Visitors(), listening(settings)
    # Gradio also deletes, when the page stops, what it knows to be this page's.
    with Blocks(visitors, title=TITLE, fill_width=True, delete_cache=(SCAN_SECONDS, HOUR)) as demo:
        with gr.Row(elem_id="top", equal_height=True):
            gr.HTML(f"<h1>{TITLE}</h1><p>{LINE}</p>", elem_id="title", apply_default_css=False)
            model = ChoiceInput(
                model_choices(settings.model),
                value=settings.model,
                label="Model",
                elem_id="model",
                min_width=160,
            )
            theme = gr.Button("Light or dark", size="sm", elem_id="theme", min_width=60)
        compare_view(worker, settings, model, visitors, **device)
        compare_endpoint(worker, settings, visitors, **device)
        gr.HTML(f"<p>{PRIVACY}</p>", elem_id="privacy", apply_default_css=False)
        demo.unload(visitors.on_unload)
        theme.click(None, js="() => window.tokenscope.switchTheme()", api_visibility="private")
    demo.queue(max_size=4 * _held(settings), api_open=False)  # nothing runs beside the queue
    return demo


def listening(settings: Settings) -> dict[str, Any]:
    """What every listener that uses the device is declared with, each alike.

    The worker's queue is the one that people wait in, and tells them so; Gradio's own lets in as
    many as that one holds, and some more to be told that it is full.
    """
    return {"concurrency_id": "device", "concurrency_limit": 2 * _held(settings)}


def _held(settings: Settings) -> int:
    """Comparisons that wait or run."""
    return settings.queue_size + jobs_at_once(settings)


def launch(demo: Blocks, settings: Settings, **options: Any) -> Any:
    """`demo.launch` with everything about it that is TokenScope's own; `options` go on top."""
    pool(settings).start()
    start_expiry(demo)
    guard = Middleware(GuardMiddleware, settings=settings, page=demo)
    return demo.launch(
        **{
            "theme": theme(),
            "css_paths": HERE / "style.css",
            "head": f"<script>{(HERE / 'page.js').read_text()}</script>",
            "favicon_path": HERE / "favicon.svg",
            "footer_links": ["api"],
            "max_file_size": settings.max_upload_mb * 1_000_000,
            "auth": settings.logins() or None,
            "app_kwargs": {"middleware": [guard], "lifespan": session_cleanup},
            "state_session_capacity": SESSIONS,
            "max_threads": 40 + 2 * _held(settings),  # one waits for each comparison
            "ssr_mode": False,
            "enable_monitoring": False,
            "run_history": False,
            "show_error": bool(settings.debug),
            "pwa": False,
        }
        | options
    )


def serve(settings: Settings, *, host: str = "127.0.0.1", port: int = 7860) -> None:
    """Serve the page on the worker that is set until interrupted."""
    log_as_json()
    worker = start_worker(settings)
    worker.preload()
    stay(build(worker, settings), settings, server_name=host, server_port=port)


def stay(demo: Blocks, settings: Settings, **options: Any) -> None:
    """`launch`, and serve until interrupted."""
    limit_arenas()  # before the server has its many threads
    launch(demo, settings, prevent_thread_lock=True, **options)
    log_as_json()  # again: the server and transformers have brought logs of their own
    demo.block_thread()


def theme() -> gr.themes.Base:
    """Quiet greys, one blue; system fonts, so that nothing is fetched."""
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
