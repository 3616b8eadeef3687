#!/usr/bin/python3
"""packaging/man/conf_page.py: the manual page limpet.conf(5), on standard output. Its directives are those of conf/DIRECTIVES.md,
which is written from limpet's tables, its variables those of docs/variables.md."""
import os
import re

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")

HEAD = r""".TH LIMPET.CONF 5 "@VERSION@" "limpet" "File Formats"
.SH NAME
limpet.conf \- configuration of limpet(8)
.SH DESCRIPTION
The file
.I /etc/limpet/limpet.conf
is written in nginx's language. A directive is a word, its arguments and a semicolon; a block has braces in place of the semicolon.
A number sign begins a comment. Words that hold blanks, semicolons, braces or quotes stand in quotes.
.B include
.I FILE
reads another file, or all that a pattern names.
.PP
Directives in a block hold for the blocks within it, unless those have their own. A directive that is a list is replaced as a whole.
.PP
A size is a number of bytes, or one with k, m or g; a time is a number of seconds, or of ms, s, m, h, d, w, M or y, as in 1h30m.
.PP
.B limpet \-t
checks a configuration,
.B limpet \-T
prints it. What limpet does not know is an error with file and line.
.SH EXAMPLE
.nf
@EXAMPLE@
.fi
"""
TAIL = r""".SH FILES
.TP
.I /etc/limpet/limpet.conf
The configuration.
.TP
.I /etc/limpet/conf.d/*.conf
Sites, included by it.
.SH SEE ALSO
.BR limpet (8),
.IR /usr/share/doc/limpet/ ,
.BR nginx (8)
"""


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as text:
        return text.read()


def roff(text):
    """Plain text, and Markdown's code in bold."""
    text = text.replace("\\|", "|").replace("\\", r"\e").replace("-", r"\-").replace("…", "...").replace("—", "none")
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"`([^`]*)`", r"\\fB\1\\fR", text)
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.MULTILINE)


def cells(line):
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def rows(text):
    """Titles of second level, and the rows of tables beneath them."""
    for line in text.split("\n"):
        if line.startswith("## "):
            yield line[3:], None
        elif line.startswith("| `") or line.startswith("| $"):
            yield None, cells(line)


def directives():
    out = []
    for title, row in rows(read("conf/DIRECTIVES.md")):
        if title:
            out.append(f".SH {title.upper()}")
            continue
        name, arguments, default, contexts, text = row
        block = " { }" if "{ }" in arguments else ""
        facts = f"Contexts: {contexts}." + ("" if default == "—" else f" Default: {default}.")
        out += [".TP", roff(f"{name}{block}"), roff(text or "A block."), ".br", roff(facts)]
    return out


def variables():
    out = [".SH VARIABLES"]
    for title, row in rows(read("docs/variables.md")):
        out += [".SS " + roff(title)] if title else [".TP", roff(row[0]), roff(row[1] or " ")]
    return out


def main():
    version = re.search(r"project\(limpet VERSION (\S+)", read("CMakeLists.txt"))[1]
    site = re.sub(r" +#.*", "", read("packaging/app.conf"))
    example = roff("\n".join(line for line in site.split("\n") if not line.startswith("#")).strip())
    print(HEAD.replace("@VERSION@", f"limpet {version}").replace("@EXAMPLE@", example), end="")
    print("\n".join(directives() + variables()))
    print(TAIL, end="")


if __name__ == "__main__":
    main()
