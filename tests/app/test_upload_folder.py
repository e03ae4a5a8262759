"""Only its user can open the upload folder."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest

from app.guard.upload_folder import default_folder, make_private

pytestmark = pytest.mark.security


@pytest.fixture
def temporary(tmp_path, monkeypatch) -> Path:
    """A folder of temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_each_user_has_a_folder_that_no_other_can_read(temporary, monkeypatch):
    make_private(default_folder())
    assert default_folder().stat().st_mode & 0o777 == 0o700
    make_private(default_folder())
    assert default_folder() == temporary / f"tokenscope-{os.getuid()}"
    monkeypatch.setattr(os, "getuid", lambda: 4321)
    assert default_folder() == temporary / "tokenscope-4321"


@pytest.mark.parametrize("kind", ["folder", "link", "file"])
def test_a_folder_of_another_user_is_refused(temporary, monkeypatch, kind):
    theirs = temporary / "tokenscope-4321"
    {
        "folder": theirs.mkdir,
        "link": lambda: theirs.symlink_to(temporary),
        "file": theirs.touch,
    }[kind]()
    monkeypatch.setattr(os, "getuid", lambda: 4321)
    with pytest.raises(ValueError, match="no folder of this user"):
        make_private(default_folder())


def test_a_folder_from_the_settings_is_created_private_and_otherwise_left_as_it_is(temporary):
    make_private(temporary / "new" / "uploads")
    assert (temporary / "new" / "uploads").stat().st_mode & 0o777 == 0o700
    (temporary / "shared").mkdir(mode=0o750)
    make_private(temporary / "shared")
    assert (temporary / "shared").stat().st_mode & 0o777 == 0o750
