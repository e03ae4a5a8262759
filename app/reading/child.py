"""The process that reads uploads: `python -m app.reading.child <socket>`.

It imports the decoders once and forks for each upload. The fork drops its rights, reads that one
file and ends: a decoder that is exploited or leaks reaches neither the page's memory nor the next
upload. A fork takes milliseconds, a new interpreter half a second. Forking needs a single thread.
"""

from __future__ import annotations

import gc
import json
import os
import socket
import sys
from collections.abc import Iterable
from typing import BinaryIO

import models.uploads.video  # noqa: F401  (before the fork: later no module can be opened)
from app.reading.recordings import open_zip
from app.reading.sandbox import allow_one_file, close_network, landlock_version, limit_resources
from app.reading.wire import UNCONFINED, Order, pack_failure, pack_files, pack_media, pack_refusal
from models.uploads.media import short_name
from models.uploads.read import read_media
from pruning.errors import ExplainedError

MAX_ORDER = 65_536  # bytes


def main(control: socket.socket) -> None:
    """Serve orders until the page's process has gone."""
    confined = {"network": close_network(), "files": landlock_version() >= 1}
    control.send(json.dumps(confined).encode())
    gc.freeze()  # otherwise a collection would copy the memory that forks share
    while True:
        try:
            message, descriptors, _, _ = socket.recv_fds(control, MAX_ORDER, 1)
        except ConnectionResetError:  # it ended without reading the last status
            return
        if not message:
            return
        reader = os.fork()
        if reader == 0:
            control.close()
            with open(descriptors[0], "wb", closefd=False) as answer:
                held = _read(Order.unpack(message), answer)
            os._exit(0 if held else UNCONFINED)  # runs no exit handler of a decoder
        os.close(descriptors[0])
        _, status = os.waitpid(reader, 0)
        control.send(json.dumps(os.waitstatus_to_exitcode(status)).encode())


def _read(order: Order, answer: BinaryIO) -> bool:
    """Confine this process, read and answer; False where other files stayed readable."""
    name, held = short_name(order.path), True
    try:
        limit_resources(order.memory, order.cpu_seconds, order.seconds)
        held = allow_one_file(order.path)
        for part in _parts(order):
            answer.write(part)
    except ExplainedError as error:
        answer.write(pack_refusal(str(error)))
    except MemoryError:
        most = f"{order.memory / 1e6:.0f} MB of memory"
        answer.write(pack_refusal(f"{name} takes more than {most} to read; save it smaller."))
    except Exception as error:
        answer.write(pack_failure(error))
    return held


def _parts(order: Order) -> Iterable[bytes | memoryview]:
    if order.num_frames is None:
        return pack_files(open_zip(order.path, order.limits))
    return pack_media(read_media(order.path, order.num_frames, order.limits))


if __name__ == "__main__":
    main(socket.socket(fileno=int(sys.argv[1])))
