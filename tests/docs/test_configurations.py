"""Every configuration of the pages loads, and what they call wrong is refused with the message that they show."""
import re

import pytest

import configurations
import pages
import shell

NGINX = [block for page in pages.guides() for block in pages.blocks(page) if block.language == "nginx"]
OURS = [block for block in NGINX if block.kind not in ("theirs", "wrong")]
WRONG = [block for block in NGINX if block.kind == "wrong"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("limpet")
    configurations.furnish(made)
    return made


@pytest.mark.parametrize("block", OURS, ids=lambda block: block.where)
def test_it_loads(folder, block):
    done = configurations.check(configurations.whole(block), folder)
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stderr.split("\n") if "[warn]" in line]
    assert not said, said


@pytest.mark.parametrize("block", WRONG, ids=lambda block: block.where)
def test_it_is_refused_as_the_page_says(folder, block):
    after = pages.blocks(block.page)
    [message] = [other for i, other in enumerate(after) if i > 0 and after[i - 1].line == block.line]
    assert message.language == "text"
    done = configurations.check(f"events {{ }}\nhttp {{\n{block.text}\n}}\n", folder)
    assert done.returncode == 1 and shell.is_printed(message.text, done.stderr), done.stderr


def test_there_are_configurations():
    assert len(OURS) > 30 and {block.page for block in OURS} >= {"README.md", "MIGRATING.md"}


def test_no_configuration_has_gaps():
    assert [block.where for block in OURS if re.search(r"…|\.\.\.", re.sub(r"#.*", "", block.text))] == []
