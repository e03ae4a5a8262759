"""Entry point of a Space. Elsewhere, run `python main.py` or `make demo`."""

import os
from dataclasses import replace

import models.openmp  # noqa: F401  before anything brings torch
from app.logs import log_as_json
from app.page.build import build, stay
from app.settings import Settings
from app.worker.start import start_worker
from models.unlisted import adopt

if os.environ.get("SPACE_ID"):  # only the Space's proxy connects, and it names the visitor
    os.environ.setdefault("FORWARDED_ALLOW_IPS", "*")
settings = Settings.from_environment()
if os.environ.get("SPACES_ZERO_GPU"):
    settings = replace(settings, worker="zero")
settings = replace(settings, model=adopt(settings.model).name)
worker = start_worker(settings)
demo = build(worker, settings)

if __name__ == "__main__":
    log_as_json()
    worker.preload()
    stay(
        demo,
        settings,
        server_name=os.environ.get("HOST"),
        server_port=int(os.environ["PORT"]) if "PORT" in os.environ else None,
    )
