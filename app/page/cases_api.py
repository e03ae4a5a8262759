"""The endpoints `/cases` and `/case` for programs, and one for remarks of closing pages."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import gradio as gr

from app.cases.exports import rows
from app.cases.filters import parse_filter
from app.cases.library import Library
from app.guard.blocks import refusing
from app.page.cases_remarks import owner_of, save_remark

MOST_LISTED = 1000


def cases_endpoints(library: Library) -> None:
    """Declare both endpoints for programs inside the current `gr.Blocks`."""

    def cases(
        request: gr.Request, run: str = "", filter: str = "", limit: int = 50
    ) -> dict[str, Any]:
        """List the cases of a run that pass a filter, with the figures of their lanes.

        Args:
            run: Name of a run; empty: names of all runs, no case.
            filter: As in the address of the Cases page, such as "right=vanilla&kind=colour".
            limit: Most cases to list.

        Returns:
            `runs`: names of the runs.
            `count`: number of cases that pass.
            `cases`: up to `limit` of them.
        """
        owner = owner_of(request)
        names = library.names(owner)
        if not run:
            return {"runs": names, "count": 0, "cases": []}
        with refusing():
            table = library.table(run, owner)
            chosen = table.choose(parse_filter(filter))
        listed = rows(table, chosen[: max(0, min(int(limit), MOST_LISTED))])
        return {"runs": names, "count": len(chosen), "cases": list(listed)}

    def case(request: gr.Request, run: str, case: str) -> dict[str, Any]:
        """One case of a run: question, right answer, remarks, and the figures of its lanes.

        Args:
            run: Name of a run.
            case: Id of a case, as `/cases` lists it.
        """
        with refusing():
            table = library.table(run, owner_of(request))
            if case not in table.cases.index:
                raise ValueError(f"The run {run[:60]} has no case {case[:40]!r}.")
        return next(rows(table, [case]))

    gr.api(cases, api_name="cases", queue=False)
    gr.api(case, api_name="case", queue=False)


def remark_endpoint(library: Library) -> None:
    """Declare the endpoint that a page calls when it is being closed."""

    def remarks(request: gr.Request, sent: list[dict[str, Any]]) -> None:
        for one in sent:
            with suppress(ValueError):  # a closed page shows no refusal
                save_remark(one, library, request)

    gr.api(remarks, api_name="remark", queue=False, api_visibility="private")
