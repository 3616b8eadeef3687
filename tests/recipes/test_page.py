"""docs/recipes.md shows each recipe as it stands in its file, and limpet has nothing to say of any."""
import os
import re
import subprocess

import pytest

import recipe
from daemon import BINARY
from site_files import make_all

PAGE = os.path.join(recipe.HERE, "..", "..", "docs", "recipes.md")
BLOCK = re.compile(r"^\[([\w-]+)\.conf\]\(\.\./tests/recipes/\1\.conf\)\n\n```nginx\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def page():
    with open(PAGE) as file:
        return file.read()


def update():
    def as_it_stands(block):
        head, name = block[0].partition("```nginx\n")[:2], block[1]
        return "".join(head) + recipe.text(name) + "```"

    new = BLOCK.sub(as_it_stands, page())
    with open(PAGE, "w") as file:
        file.write(new)


if os.environ.get("UPDATE_RECIPES"):
    update()


def test_the_page_shows_every_recipe_once():
    assert sorted(name for name, _ in BLOCK.findall(page())) == recipe.names()
    assert page().count("```nginx") == len(recipe.names()), "a block without its file's name"


@pytest.mark.parametrize("name", recipe.names())
def test_the_page_shows_it_as_it_stands(name):
    assert dict(BLOCK.findall(page()))[name] == recipe.text(name), "write the page anew: UPDATE_RECIPES=1"


@pytest.mark.parametrize("name", recipe.names())
def test_it_is_a_configuration(name, tmp_path):
    os.mkdir(tmp_path / "logs")
    make_all(tmp_path)
    (tmp_path / "limpet.conf").write_text(recipe.text(name))
    checked = subprocess.run([BINARY, "-t", "-p", f"{tmp_path}/", "-c", "limpet.conf"], capture_output=True, text=True,
                             timeout=20)
    assert checked.returncode == 0 and "[" not in checked.stderr, checked.stderr


@pytest.mark.parametrize("name", recipe.names())
def test_it_is_tried(name):
    tests = "".join(open(os.path.join(recipe.HERE, file)).read() for file in os.listdir(recipe.HERE) if file.startswith("test_"))
    assert f'"{name}"' in tests
