"""The page as a server of tools for assistants (MCP)."""

import json
from ast import literal_eval
from dataclasses import replace

import anyio
import pytest

from app.settings import Settings
from tests.app.browser import served
from tests.app.cases import ZIPPED, make_run
from tests.app.fake_worker import FakeWorker

pytest.importorskip("mcp", reason="the package mcp is not installed")
from mcp import ClientSession
from mcp.client.streamable_http import streamable_http_client

TOOLS = ("cases", "case", "compare", "sweep")


async def ask(url, query):
    """The tools, the cases of a filter, one of them opened, and a refusal."""
    async with (
        streamable_http_client(f"{url}gradio_api/mcp/") as (receiving, sending, *_),
        ClientSession(receiving, sending) as session,
    ):
        await session.initialize()
        tools = {tool.name: tool for tool in (await session.list_tools()).tools}
        sent = {"run": "pope", "filter": query, "limit": 2}
        listed = read(await session.call_tool("cases", sent))
        first = {"run": "pope", "case": listed["cases"][0]["id"]}
        opened = read(await session.call_tool("case", first))
        refused = await session.call_tool("case", {"run": "pope", "case": "x"})
    return tools, listed, opened, refused


def read(result):
    """The dictionary that Gradio writes as text of Python."""
    return literal_eval(result.content[0].text)


@pytest.mark.slow
def test_an_assistant_lists_filters_and_opens_cases(tmp_path):
    make_run(tmp_path / "pope")
    settings = replace(Settings(), cases=str(tmp_path), mcp=1)
    with served(FakeWorker(), settings) as url:
        answers = anyio.run(ask, url, f"wrong={ZIPPED}")
    tools, listed, opened, refused = answers
    assert set(TOOLS) == set(tools), "no private listener is a tool"
    assert "Name of a run" in json.dumps(tools["cases"].inputSchema)
    assert listed["runs"] == ["examples", "pope"] and len(listed["cases"]) == 2 < listed["count"]
    assert opened == listed["cases"][0] and opened["lanes"][ZIPPED]["right"] is False
    assert refused.isError and "has no case 'x'" in refused.content[0].text
