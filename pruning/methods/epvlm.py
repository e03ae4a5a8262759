"""EP-VLM: keeps the tokens of places where the brightness of the clip changes."""

from __future__ import annotations

from dataclasses import dataclass

from pruning.base import BeforeLLM, Needs
from pruning.ops.select import best
from pruning.token_map import TokenMap
from pruning.tokens import VisualTokens


@dataclass(frozen=True)
class EPVLM(BeforeLLM):
    """Keep the tokens with most events: changes of log brightness from one frame to the next.

    An event camera sends such changes; here they are computed from the frames. Where nothing
    changes, the earliest tokens of the clip fill the budget. A still picture has no events and is
    refused.

    Paper      EP-VLM, 2025, arXiv 2506.07627
    Code       none was found
    Where      before the LLM, on encoder tokens, by the frames of the request
    Positions  PESP
    Differs    our reading. The paper drops patches before the encoder, by the events of a camera
               and a quantile; here the encoder sees all, so its time is not saved, and the ratio
               sets the count, over all frames together. Changes below 0.2 are noise and count as
               none. The first frame takes the changes to the second
    """

    name = "epvlm"
    title = "EP-VLM"
    summary = "Keeps the places where the brightness changes, as an event camera would see them."
    paper = "https://arxiv.org/abs/2506.07627"
    media = frozenset({"video"})

    @property
    def needs(self) -> Needs:
        return Needs(request=frozenset({"events"}))

    def compress(self, visual: VisualTokens, keep: int) -> TokenMap:
        assert visual.events is not None
        return best(visual.events, keep)
