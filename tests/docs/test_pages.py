"""Links lead to files and headings that are there; blocks say what they are; pictures and pages stay small."""
import os

import pytest

import pages

KINDS = {
    "nginx": {"http", "upstream", "server", "location", "map", "main", "theirs", "wrong"},
    "haproxy": {""}, "yaml": {"", "theirs"}, "text": {""}, "json": {""}, "ini": {""},
}


@pytest.mark.parametrize("page", pages.pages())
def test_links_lead_somewhere(page):
    wrong = []
    for link in pages.links(page):
        if link.startswith(("https://", "http://", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = os.path.normpath(os.path.join(os.path.dirname(page), path)) if path else page
        full = os.path.join(pages.ROOT, target)
        if not os.path.exists(full):
            wrong.append(f"{link}: no such file")
        elif anchor and (not target.endswith(".md") or anchor not in pages.anchors(target)):
            wrong.append(f"{link}: no such heading")
    assert wrong == []


@pytest.mark.parametrize("page", pages.guides())
def test_blocks_say_what_they_are(page):
    for block in pages.blocks(page):
        if block.language == "sh":
            assert block.kind, f"{block.where}: which commands are these?"
            continue
        known = block.kind in KINDS.get(block.language, ()) or (block.language == "nginx" and block.kind.endswith(".conf"))
        assert known, f"{block.where}: nobody tests a block of {block.language} {block.kind}"


def test_every_guide_is_reached_from_the_first_page():
    reached, todo = set(), ["README.md"]
    while todo:
        page = todo.pop()
        if page in reached or not page.endswith(".md"):
            continue
        reached.add(page)
        for link in pages.links(page):
            if "://" not in link and not link.startswith("#"):
                todo.append(os.path.normpath(os.path.join(os.path.dirname(page), link.partition("#")[0])))
    assert set(pages.guides()) - reached == set()


def test_the_first_page_is_short_and_its_picture_small():
    lines = pages.read("README.md").split("\n")
    assert len(lines) < 200
    first = next(i for i, line in enumerate(lines) if line.startswith("curl"))
    assert first < 65, "the first sticky request is more than a screen away"
    assert os.path.getsize(os.path.join(pages.ROOT, "docs/page.png")) < 150_000
