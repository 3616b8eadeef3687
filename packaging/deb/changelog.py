#!/usr/bin/python3
"""packaging/deb/changelog.py NAME MAINTAINER: CHANGELOG.md as a Debian changelog, on standard output."""
import datetime
import email.utils
import os
import re
import sys

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")


def main():
    name, maintainer = sys.argv[1:]
    with open(os.path.join(ROOT, "CHANGELOG.md"), encoding="utf-8") as text:
        page = text.read()
    for version, day, notes in re.findall(r"^## (\d\S*) \((\S+)\)\n(.*?)(?=^## |\Z)", page, re.MULTILINE | re.DOTALL):
        date = email.utils.format_datetime(datetime.datetime.fromisoformat(day + "T12:00:00+00:00"))
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", notes).replace("`", "")
        items = re.findall(r"^- (.*(?:\n  .*)*)", plain, re.MULTILINE) or [" ".join(plain.split())]
        print(f"{name} ({version}) stable; urgency=medium\n")
        for item in items:
            words, line = " ".join(item.split()).split(" "), "  *"
            for word in words:
                if len(line) + len(word) > 78:
                    print(line)
                    line = "   "
                line += " " + word
            print(line)
        print(f"\n -- {maintainer}  {date}\n")


if __name__ == "__main__":
    main()
