"""Writes a database of addresses as large as wanted: geo_file.py FILE NETWORKS. Each network has a record of a city's kind."""
import os
import random
import sys

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))

import mmdb  # noqa: E402


def record(number):
    code = chr(65 + number % 26) + chr(65 + number // 26 % 26)
    return mmdb.country(code, f"Country {code}", city={"geoname_id": number, "names": {"en": f"City {number}"}},
                        location={"latitude": number / 1000, "longitude": -number / 1000},
                        subdivisions=[{"iso_code": code[::-1], "names": {"en": f"Region {number % 977}"}}])


def main(path, count):
    chance = random.Random(1)
    networks = {}
    for number in range(count):
        first = chance.randrange(1 << 24)
        networks[f"{first >> 16}.{first >> 8 & 255}.{first & 255}.0/{chance.choice((16, 20, 22, 24, 24, 24))}"] = record(number % 40000)
    mmdb.write(path, networks)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
