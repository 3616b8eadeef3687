"""What is shipped around the binary: configurations are valid, manifests fit together, completion completes."""
import glob
import os
import re
import shutil
import subprocess

import pytest
import yaml

from client import get
from daemon import BINARY, Limpet

ROOT = os.path.normpath(os.path.join(os.path.dirname(__file__), "../.."))


def read(path):
    with open(os.path.join(ROOT, path)) as text:
        return text.read()


def manifests(path):
    return [part for part in yaml.safe_load_all(read(path)) if part]


def one(parts, kind):
    return next(part for part in parts if part["kind"] == kind)


def is_valid(config):
    with Limpet(config, start=False) as limpet:
        open(limpet.path("error.log"), "w").close()
        done = limpet.run("-t")
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", [os.path.relpath(path, ROOT) for folder in ("scripts", "packaging") for path in
                                  glob.glob(f"{ROOT}/{folder}/**/*.y*ml", recursive=True)])
def test_yaml_is_well_formed(path):
    manifests(path)
    if shutil.which("yamllint"):
        done = subprocess.run(["yamllint", "-c", os.path.join(ROOT, ".yamllint"), os.path.join(ROOT, path)],
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


def test_the_packages_configuration_is_valid():
    types, site = read("packaging/mime.types"), read("packaging/default-site.conf").replace("listen 80;", "listen {port};")
    config = read("packaging/limpet.conf")
    config = config.replace("include /etc/limpet/mime.types;", types).replace("include /etc/limpet/conf.d/*.conf;", site)
    config = re.sub(r"^(user|error_log) .*;$", "", config, flags=re.MULTILINE)
    is_valid(config.replace("/var/log/limpet/", ""))


def test_the_demonstrations_configuration_is_valid():
    is_valid(read("scripts/demo/docker.conf").replace("web:", "127.0.0.1:"))


def test_kubernetes_manifests_fit_together():
    app, limpet = manifests("scripts/k8s/app.yaml"), manifests("scripts/k8s/limpet.yaml")
    service, pods = one(app, "Service"), one(app, "StatefulSet")
    assert service["spec"]["clusterIP"] == "None", "headless: each pod has a record of its own"
    assert pods["spec"]["serviceName"] == service["metadata"]["name"]
    for part in (*app, *limpet):
        if part["kind"] != "StatefulSet":
            continue
        template = part["spec"]["template"]
        assert part["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
        (container,) = template["spec"]["containers"]
        volumes = {volume["name"] for volume in template["spec"].get("volumes", [])}
        volumes |= {claim["metadata"]["name"] for claim in part["spec"].get("volumeClaimTemplates", [])}
        assert {mount["name"] for mount in container.get("volumeMounts", [])} == volumes
        ports = {port["name"]: port["containerPort"] for port in container["ports"]}
        assert container["readinessProbe"]["httpGet"]["port"] in ports
    config = one(limpet, "ConfigMap")["data"]["limpet.conf"]
    assert f"server {service['metadata']['name']}.default.svc" in config
    assert re.search(r"service=http\b", config) and service["spec"]["ports"][0]["name"] == "http"
    for name, number in ports.items():  # limpet's, the last
        assert f"listen {number};" in config, name


def test_completion(origins):
    (origin,) = origins("a")
    config = """events { } http { upstream app { zone app 64k; server 127.0.0.1:{origin};
        sticky learn create=$upstream_cookie_s lookup=$cookie_s zone=one:1m; }
        server { listen {port}; location / { proxy_pass http://app; } } }"""
    with Limpet(config, workers=1, origin=origin.port) as limpet:
        assert get(limpet.port).status == 200

        def complete(*words):
            script = f"""source {ROOT}/packaging/completion/limpet
                COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _limpet; printf '%s\\n' "${{COMPREPLY[@]}}" """
            done = subprocess.run(["bash", "-c", script, "bash", *words], capture_output=True, text=True, timeout=20)
            return done.stdout.split()

        command = limpet.command()
        assert sorted(complete(BINARY, "se")) == ["servers", "sessions"]
        assert complete(BINARY, "-s", "re") == ["reload", "reopen"]
        assert complete(*command, "sessions", "") == ["one"]
        assert complete(*command, "drain", "") == ["app"]
        assert complete(*command, "drain", "app", "127") == [f"127.0.0.1:{origin.port}"]
        assert complete(*command, "drain", "app", "x", "--") == ["--json", "--deadline"]


def test_the_manual_page_names_every_command_and_formats():
    page = read("packaging/man/limpet.8").replace("\\-", "-")
    done = subprocess.run([BINARY, "-h"], capture_output=True, text=True)
    commands = re.findall(r"^  (\w+|--json)", done.stderr.split("Commands")[1], re.MULTILINE)
    assert {"sessions", "drain", "--json"} <= set(commands)
    for command in commands:
        assert command in page, command
    if shutil.which("groff"):
        done = subprocess.run(["groff", "-man", "-ww", "-Tutf8", os.path.join(ROOT, "packaging/man/limpet.8")],
                              capture_output=True, text=True)
        assert done.stderr == ""


def test_the_alert_examples_read_the_lines_as_they_are_documented():
    lines = re.findall(r"^    (\d{4}/\d\d/\d\d .* full, .*)$", read("packaging/ALERTS.md"), re.MULTILINE)
    pattern = re.search(r"^/(.*)/ \{$", read("packaging/alerts/limpet.mtail"), re.MULTILINE)[1].replace(r"\/", "/")
    found = [re.search(pattern, line) for line in lines]
    assert [match["subject"] for match in found] == ['session zone "sessions"', "worker_connections",
                                                     'session zone "sessions"']
    assert [match["severity"] for match in found] == ["warn", "error", "notice"]
