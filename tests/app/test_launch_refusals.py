"""Settings that would open the page to strangers are refused before it starts."""

from dataclasses import replace

import pytest

from app.page import build
from app.settings import Settings


def test_tools_of_assistants_are_refused_where_a_login_is_required(monkeypatch):
    monkeypatch.setattr(build, "find_spec", lambda name: name)
    settings = replace(Settings(), mcp=1, users="ada:secret")
    with pytest.raises(ValueError, match="assistants have no login"):
        build.launch(None, settings)
