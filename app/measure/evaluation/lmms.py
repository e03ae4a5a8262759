"""The model `tokenscope` of lmms-eval: it hands questions on, and answers back."""

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

from app.measure.evaluation.answerer import Answer, Asked, answerer

NAME = "tokenscope"


class TokenScope(lmms):
    """`--model tokenscope --model_args model=…,method=…,retention=…`: see `answerer`."""

    def __init__(self, batch_size: Any = 1, max_batch_size: Any = None, **asked: Any) -> None:
        super().__init__()
        if str(batch_size) != "1":
            raise ValueError(f"The batch size is {batch_size}, wanted 1: questions are put singly.")
        self.answerer = answerer(**asked)

    def generate_until(self, requests: Sequence[Instance]) -> list[str]:
        """The answers, in the order of the questions."""
        asked = [self._asked(*request.args) for request in requests]
        answers: list[Answer] = []
        for request, answer in zip(
            requests, tqdm(self.answerer.answers(asked), "answers", len(asked)), strict=True
        ):
            self.cache_hook.add_partial("generate_until", request.args[:2], answer.text)
            answers.append(answer)
        _tell(self.answerer.method.label, answers)
        return [answer.text for answer in answers]

    def _asked(
        self,
        text: str,
        options: Mapping[str, Any],
        visuals: Callable[[Any], Sequence[Any]],
        number: int,
        task: str,
        split: str,
    ) -> Asked:
        documents = self.task_dict[task][split]
        return Asked(
            place=f"{task}, {split} {number}",
            text=text,
            visuals=lambda: visuals(documents[number]) or [],
            options=options,
        )

    def loglikelihood(self, requests: Sequence[Instance]) -> list[tuple[float, bool]]:
        raise ValueError(_not_here("rates no given answers"))

    def generate_until_multi_round(self, requests: Sequence[Instance]) -> list[str]:
        raise ValueError(_not_here("asks no second question"))


def register() -> None:
    """Under its name; lmms-eval's entry points need a package, and we run from a checkout."""
    path = f"{TokenScope.__module__}.{TokenScope.__name__}"
    MODEL_REGISTRY_V2.register_manifest(ModelManifest(NAME, path), overwrite=True)


def _not_here(why: str) -> str:
    return f"TokenScope answers a question in words and {why}: choose a task of generate_until."


def _tell(method: str, answers: Sequence[Answer]) -> None:
    """The measured retention, to the log and into the results."""
    if not answers:
        return
    ratio = statistics.mean(answer.ratio for answer in answers)
    tokens, seconds = sum(a.new_tokens for a in answers), sum(a.seconds for a in answers)
    logger.info(f"{method}: measured retention ratio {ratio:.2%} over {len(answers)} answers")
    log_metrics(seconds, tokens, tokens / seconds, {"retention_ratio": ratio})
