"""MaxMind DB files, written by mmdb.pl (libmaxmind-db-writer-perl)."""
import json
import os
import subprocess

WRITER = os.path.join(os.path.dirname(__file__), "mmdb.pl")
TYPES = {"iso_code": "utf8_string", "en": "utf8_string", "geoname_id": "uint32", "latitude": "double", "longitude": "double",
         "subdivisions": "array/map"}


def country(code, name="", **more):
    return {"country": {"iso_code": code, "geoname_id": sum(code.encode()), "names": {"en": name or code}}, **more}


def write(path, networks, ip_version=6, record_size=28):
    """Puts a database in the place of the file at once, as updaters do. `networks`: records by network."""
    wanted = {"ip_version": ip_version, "record_size": record_size, "types": TYPES, "networks": networks}
    subprocess.run(["perl", WRITER, path], input=json.dumps(wanted), text=True, check=True, timeout=300)
