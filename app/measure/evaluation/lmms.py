"""The model `tokenscope` of lmms-eval: passes requests on and replies back."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from lmms_eval.api.instance import Instance
from lmms_eval.api.model import lmms
from lmms_eval.models import MODEL_REGISTRY_V2
from lmms_eval.models.model_utils.gen_metrics import log_metrics
from lmms_eval.models.registry_v2 import ModelManifest
from loguru import logger
from tqdm import tqdm

from app.measure.evaluation.answerer import Reply, Request, answerer

NAME = "tokenscope"


class TokenScope(lmms):
    """`--model tokenscope --model_args model=…,method=…,retention=…`: see `answerer`."""

    def __init__(self, batch_size: Any = 1, max_batch_size: Any = None, **arguments: Any) -> None:
        super().__init__()
        if str(batch_size) != "1":
            raise ValueError(f"The batch size is {batch_size}, wanted 1 question at a time.")
        self.answerer = answerer(**arguments)

    def generate_until(self, requests: Sequence[Instance]) -> list[str]:
        """The answers in the order of the requests."""
        replies: list[Reply] = []
        found = self.answerer.answer([self._request(*request.args) for request in requests])
        for request, reply in zip(requests, tqdm(found, "answers", len(requests)), strict=True):
            self.cache_hook.add_partial("generate_until", request.args[:2], reply.text)
            replies.append(reply)
        _log(self.answerer.method.label, replies)
        return [reply.text for reply in replies]

    def _request(
        self,
        text: str,
        options: Mapping[str, Any],
        visuals: Callable[[Any], Sequence[Any]],
        number: int,
        task: str,
        split: str,
    ) -> Request:
        documents = self.task_dict[task][split]
        return Request(
            place=f"{task}, {split} {number}",
            text=text,
            visuals=lambda: visuals(documents[number]) or [],
            options=options,
        )

    def loglikelihood(self, requests: Sequence[Instance]) -> list[tuple[float, bool]]:
        raise ValueError(_unsupported("does not score given answers"))

    def generate_until_multi_round(self, requests: Sequence[Instance]) -> list[str]:
        raise ValueError(_unsupported("does not ask in several rounds"))


def register() -> None:
    """Adds the model to lmms-eval; an entry point would need an installed package."""
    path = f"{TokenScope.__module__}.{TokenScope.__name__}"
    MODEL_REGISTRY_V2.register_manifest(ModelManifest(NAME, path), overwrite=True)


def _unsupported(why: str) -> str:
    return f"TokenScope generates answers and {why}: choose a task of generate_until."


def _log(method: str, replies: Sequence[Reply]) -> None:
    """Writes the measured retention ratio to the log and into the results."""
    if not replies:
        return
    ratio = statistics.mean(reply.ratio for reply in replies)
    tokens, seconds = sum(r.new_tokens for r in replies), sum(r.seconds for r in replies)
    logger.info(f"{method}: measured retention ratio {ratio:.2%} over {len(replies)} answers")
    log_metrics(seconds, tokens, tokens / seconds, {"retention_ratio": ratio})
