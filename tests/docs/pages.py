"""The repository's pages: fenced blocks, links and anchors of Markdown."""
import os
import re
import subprocess
from dataclasses import dataclass

ROOT = os.path.normpath(os.path.join(os.path.dirname(__file__), "../.."))


@dataclass
class Block:
    page: str
    line: int  # of its first line
    language: str
    kind: str  # the word after the language, or ""
    text: str

    @property
    def where(self):
        return f"{self.page}:{self.line}"


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as text:
        return text.read()


def pages():
    """All Markdown of the repository, but of third parties."""
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "*.md"],
                            capture_output=True, text=True)
    if listed.returncode == 0:
        found = listed.stdout.split("\0")
    else:  # no checkout
        found = [os.path.relpath(os.path.join(folder, name), ROOT)
                 for folder, _, names in os.walk(ROOT) for name in names if name.endswith(".md")]
    built = re.compile(r"^(build|\.git)")
    return sorted(path for path in set(found) if path and not built.match(path) and not path.startswith("third_party/")
                  and os.path.exists(os.path.join(ROOT, path)))


def guides():
    """The pages whose blocks are tested here: those for users. Recipes have tests of their own (tests/recipes)."""
    return [path for path in pages() if (os.path.dirname(path) == "" or path.startswith("docs/")) and path != "docs/recipes.md"]


def blocks(page):
    found, lines = [], read(page).split("\n")
    at = 0
    while at < len(lines):
        begin = re.match(r"^( *)```(\S*) *(\S*)$", lines[at])
        if begin:
            end = next((i for i in range(at + 1, len(lines)) if lines[i] == begin[1] + "```"), None)
            assert end is not None, f"{page}:{at + 1}: the block has no end"
            text = "".join(line[len(begin[1]):] + "\n" for line in lines[at + 1:end])
            found.append(Block(page, at + 2, begin[2], begin[3], text))
            at = end
        at += 1
    return found


def prose(page):
    """The page without its blocks and code."""
    text = re.sub(r"^( *)```.*?^\1```$", "", read(page), flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"^    .*$", "", text, flags=re.MULTILINE)
    return re.sub(r"`[^`\n]*`", "code", text)


def links(page):
    """Where inline links and pictures lead."""
    return re.findall(r"\]\(\s*([^()\s]+)\s*\)", prose(page))


def anchors(page):
    """The anchors of a page's headings, as they are made on the web."""
    text = re.sub(r"^( *)```.*?^\1```$", "", read(page), flags=re.MULTILINE | re.DOTALL)
    found = []
    for title in re.findall(r"^#+ +(.+?)\s*$", text, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).replace("`", "").lower()
        found.append(re.sub(r"[^\w\- ]", "", plain).replace(" ", "-"))
    return found


def tables(page):
    """The rows of all tables, as lists of cells."""
    rows = []
    for line in read(page).split("\n"):
        if line.startswith("|") and not re.fullmatch(r"[|\-: ]+", line):
            rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return rows
