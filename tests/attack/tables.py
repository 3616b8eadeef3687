"""Tables of attacks: text files, a block for each, blank lines between.

    a name, said once in all files
    on LOCATION|PORT ...        where it runs, if not everywhere (each test says what it knows)
    > bytes                     what is sent; ¶ is CR LF, \\x41 as in Python, <<a*9000>> so many; further lines go on
    = outcome                   what has to come of it
    nginx outcome; reason       nginx does otherwise, and why that is right: a name in REASONS
"""
import glob
import os
import re
from dataclasses import dataclass, field

HERE = os.path.dirname(os.path.abspath(__file__))


@dataclass
class Row:
    name: str
    file: str
    sent: list = field(default_factory=list)  # (mark, bytes)
    options: dict = field(default_factory=dict)
    outcomes: dict = field(default_factory=dict)  # where ("" for everywhere) -> what has to come of it
    nginx: dict = field(default_factory=dict)  # where -> (nginx's outcome, reason)

    @property
    def data(self):
        return b"".join(part for _, part in self.sent)

    def outcome(self, where):
        return self.outcomes.get(where, self.outcomes.get("", ""))

    def nginx_outcome(self, where):
        """What nginx has to do: the same, unless it is said otherwise."""
        return self.nginx.get(where, self.nginx.get("", (self.outcome(where), "")))


def to_bytes(text):
    def repeated(match):
        return match[1].replace("#", "%d") * int(match[2]) if "#" not in match[1] else "".join(
            match[1].replace("#", str(number)) for number in range(int(match[2])))

    text = re.sub(r"<<(.+?)\*(\d+)>>", repeated, text)
    text = text.replace("¶", "\\r\\n").replace("\\0", "\\x00")
    return text.encode("latin-1").decode("unicode_escape").encode("latin-1")


def read(folder):
    """All rows of a folder's files, by name."""
    rows = {}
    for path in sorted(glob.glob(os.path.join(HERE, folder, "*.txt"))):
        with open(path, encoding="utf-8") as text:
            for row in _rows(text.read(), os.path.basename(path)):
                assert row.name not in rows, f"{path}: {row.name!r} stands twice"
                rows[row.name] = row
    return rows


def _rows(text, file):
    for block in re.split(r"\n\s*\n", text):
        lines = [line for line in block.splitlines() if line.strip() and not line.startswith("#")]
        if lines:
            yield _row(lines, file)


def _row(lines, file):
    row = Row(lines[0].strip(), file)
    for line in lines[1:]:
        mark, _, rest = line.strip().partition(" ")
        if mark[0] in "><":
            row.sent.append((mark, to_bytes(rest)))
        elif mark[0] == "=":
            row.outcomes[mark[1:]] = rest
        elif mark.startswith("nginx"):
            outcome, _, reason = rest.rpartition(";")
            row.nginx[mark[5:].lstrip("=")] = (outcome.strip(), reason.strip())
        else:
            row.options[mark] = rest
    return row
