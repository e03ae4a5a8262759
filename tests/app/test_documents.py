"""The Methods and Findings pages, rendered from docs/."""

from __future__ import annotations

import re

import pytest

from app.page import documents


@pytest.mark.parametrize("name", documents.PAGES.values())
def test_a_document_carries_its_pictures_and_links_to_no_file(name):
    html = documents.document(name)
    assert html.count("<img") == len(re.findall(r'src="data:image/(?:png|svg\+xml);base64,', html))
    links = re.findall(r'<a href="([^"]*)"', html)
    own = ("https://", "#", *documents.PAGES.values())
    assert links and all(link.startswith(own) for link in links)
    assert not any(link.split("#")[0].endswith(".md") for link in links)
    assert all(f'id="{link[1:]}"' in html for link in links if link.startswith("#"))


def test_where_the_repository_is_known_links_to_other_documents_lead_there():
    html = documents.document("findings", "https://code.test/scope/")
    assert 'href="https://code.test/scope/blob/main/models/embedded/README.md"' in html
