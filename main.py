"""Where a Space starts. Elsewhere: `python main.py`, or `make demo`."""

import os

from app.settings import Settings
from app.ui.build import build, launch
from app.worker.local import LocalWorker

settings = Settings.from_environment()
worker = LocalWorker(settings)
demo = build(worker, settings)

if __name__ == "__main__":
    worker.preload()
    launch(
        demo,
        settings,
        server_name=os.environ.get("HOST"),
        server_port=int(os.environ["PORT"]) if "PORT" in os.environ else None,
    )
