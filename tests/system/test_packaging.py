"""What is shipped around the binary: configurations are valid, manifests fit together, completion completes."""
import os
import re
import shutil
import signal
import subprocess
import time

import pytest
import yaml

from client import get
from daemon import BINARY, Limpet
from ports import free_port
from waiting import wait_until

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


def check_manifests(folder, *more):
    return subprocess.run([os.path.join(ROOT, "scripts/check-manifests"), *more, folder], capture_output=True, text=True)


def test_nothing_is_wrong_with_the_manifests():
    done = check_manifests(ROOT, "--compose")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path, right, wrong, what", [
    ("scripts/k8s/app.yaml", "replicas: 3", "replica: 3", "unknown field 'replica'"),
    ("scripts/k8s/app.yaml", "containerPort: 8080", "containerPort: http", "'http' is no int"),
    ("scripts/k8s/limpet.yaml", "  serviceName: limpet\n", "", "no serviceName"),
    ("scripts/k8s/limpet.yaml", "medium: Memory", "medium: Ram", "'Ram' is none of"),
    ("scripts/k8s/cluster/cluster.yaml", "secretName: limpet", "secret: limpet", "unknown field 'secret'"),
    ("scripts/demo/docker-compose.yml", "      - web\n", "      - wen\n", "depends on wen"),
    ("scripts/demo/docker-compose.yml", "dockerfile: scripts/docker/Dockerfile", "dockerfile: Dockerfile", "no Dockerfile"),
    ("scripts/docker/Dockerfile", "COPY scripts/lib.sh", "COPY scripts/lib.bash", "no scripts/lib.bash"),
    ("scripts/docker/Dockerfile", "--from=build", "--from=built", "no stage built"),
    ("scripts/k8s/limpet.yaml", "runAsNonRoot: true", "runAsNonRoot: false", "the restricted profile wants runAsNonRoot"),
    ("scripts/k8s/limpet.yaml", 'drop: ["ALL"]', 'drop: ["CHOWN"]', "the restricted profile wants capabilities"),
    ("scripts/k8s/cluster/cluster.yaml", "allowPrivilegeEscalation: false", "privileged: false", "wants allowPrivilegeEscalation"),
    ("scripts/k8s/policies.yaml", "podSelector", "podSelectors", "unknown field 'podSelectors'"),
    ("scripts/k8s/kustomization.yaml", "- limpet.yaml", "- limpets.yaml", "no resource limpets.yaml"),
    ("scripts/k8s/monitoring.yaml", "interval: 15s", "interval: 15", "15 is no str"),
    ("scripts/docker/Dockerfile", "USER 10001:10001", "USER root", "runs as root"),
    ("scripts/demo/docker-compose.yml", "- state:", "- states:", "no volume states"),
    ("packaging/alerts/rules.yml", "  ", "    ", "indentation"),
])
def test_what_is_wrong_with_manifests_is_found(tmp_path, path, right, wrong, what):
    if what == "indentation" and not shutil.which("yamllint"):
        pytest.skip("no yamllint here")
    for folder in ("scripts", "packaging"):
        shutil.copytree(os.path.join(ROOT, folder), tmp_path / folder)
    shutil.copy(os.path.join(ROOT, ".yamllint"), tmp_path)
    text = (tmp_path / path).read_text()
    assert right in text
    (tmp_path / path).write_text(text.replace(right, wrong, 1))
    done = check_manifests(str(tmp_path))
    assert done.returncode == 1 and f"{path}: " in done.stdout and what in done.stdout, done.stdout + done.stderr


@pytest.mark.parametrize("site", ["packaging/default-site.conf", "packaging/app.conf"])
def test_the_packages_configuration_is_valid(site):
    types, site = read("packaging/mime.types"), read(site).replace("listen 80", "listen {port}")
    config = read("packaging/limpet.conf")
    config = config.replace("include /etc/limpet/mime.types;", types).replace("include /etc/limpet/conf.d/*.conf;", site)
    config = re.sub(r"^(user|error_log) .*;$", "", config, flags=re.MULTILINE)
    is_valid(config.replace("/var/log/limpet/", ""))


def test_the_welcome_page_is_shown_and_names_what_the_package_has():
    site = read("packaging/default-site.conf").replace("listen 80", "listen {port}").replace("127.0.0.1:8090", "127.0.0.1:{status}")
    site = site.replace("/usr/share/limpet/welcome", os.path.join(ROOT, "packaging/welcome"))
    with Limpet(f"events {{ }} http {{ {site} }}", workers=1, status=free_port()) as limpet:
        page = get(limpet.port)
        assert page.status == 200 and "limpet runs" in page.text
        assert get(limpet.values["status"], "/healthz").status == 200
    rules = read("packaging/package.cmake")
    assert "/usr/share/doc/limpet/examples/app.conf" in page.text and "app.conf DESTINATION share/doc/limpet/examples" in rules
    assert "http://127.0.0.1:8090/dashboard/" in page.text


def test_the_shipped_log_formats_are_those_of_the_page():
    shipped, page = (set(re.findall(r"\$\w+|\$\{\w+\}", "".join(re.findall(r"log_format \w+ .*?;", read(path), re.DOTALL))))
                     for path in ("packaging/limpet.conf", "docs/logs.md"))
    assert shipped == page and "$sticky_status" in shipped


def test_the_demonstrations_configuration_is_valid():
    is_valid(read("scripts/demo/docker.conf"))


def test_the_images_configuration_is_valid():
    is_valid(read("scripts/docker/limpet.conf").replace("include /etc/limpet/mime.types;", read("packaging/mime.types"))
             .replace("/etc/limpet/conf.d/", "conf.d/"))


@pytest.mark.parametrize("path", ["scripts/docker/limpet.conf", "scripts/k8s/limpet.yaml", "scripts/k8s/cluster/cluster.yaml"])
def test_it_is_not_ready_when_somebody_has_said_that_it_ends(path):
    """The locations as they stand there, with the file in the test's own folder."""
    health, ready = (re.search(rf"location = /{name} (\{{(?:[^{{}}]|\{{[^}}]*\}})*\}})", read(path))[1] for name in ("healthz", "readyz"))
    config = f"events {{ }} http {{ server {{ listen {{port}}; location = /healthz {health} location = /readyz {ready} }} }}"
    with Limpet(config.replace("/run/limpet/", "{dir}/"), workers=2) as limpet:
        assert [get(limpet.port, name).status for name in ("/healthz", "/readyz")] == [200, 200]
        open(limpet.path("ending"), "w").close()
        assert [get(limpet.port, name).status for name in ("/healthz", "/readyz")] == [200, 503]


@pytest.mark.parametrize("path", ["scripts/k8s/limpet.yaml", "scripts/k8s/cluster/cluster.yaml"])
def test_a_config_map_that_changes_is_read_and_one_that_is_wrong_is_not(path, tmp_path):
    """The container that watches it, as it stands, with folders of the test's own."""
    pods = one(manifests(path), "StatefulSet" if path.endswith("limpet.yaml") else "Deployment")["spec"]["template"]["spec"]
    assert pods["shareProcessNamespace"] is True
    script = next(container for container in pods["containers"] if container["name"] == "reload")["command"][-1]
    config = "events { } http { server { listen {port}; return 200 first; } }"
    with Limpet(config, workers=1) as limpet:
        tools = tmp_path / "limpet"
        globals_ = limpet.command()[-1]
        tools.write_text(f'#!/bin/sh\nshift 2\nexec {os.path.abspath(BINARY)} -p {limpet.dir}/ -c limpet.conf -g "{globals_}" "$@"\n')
        tools.chmod(0o755)
        (tmp_path / "maps").mkdir()
        link = tmp_path / "maps" / "limpet.conf"
        link.symlink_to(limpet.path("limpet.conf"))
        script = script.replace("/etc/limpet/k8s", str(tmp_path / "maps"), 1).replace("sleep 5", "sleep 0.1")
        watcher = subprocess.Popen(["sh", "-c", script], env=dict(os.environ, PATH=f"{tmp_path}:{os.environ['PATH']}"),
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True)
        try:
            time.sleep(0.3)  # it has looked once: nothing says so
            limpet.write(config.replace("first", "second"))
            wait_until(lambda: get(limpet.port).text == "second", "the new configuration")
            limpet.write(config.replace("return", "retrun"))
            line = watcher.stderr.readline()
            assert "retrun" in line, line
            assert get(limpet.port).text == "second"
            limpet.write(config.replace("first", "third"))
            wait_until(lambda: get(limpet.port).text == "third", "one that is right again")
        finally:
            os.killpg(watcher.pid, signal.SIGTERM)
            watcher.wait()
            watcher.stderr.close()


def test_the_budgets_policies_and_monitors_select_what_is_there():
    for folder, name in (("scripts/k8s", "limpet.yaml"), ("scripts/k8s/cluster", "cluster.yaml")):
        parts = manifests(f"{folder}/{name}")
        labels = [part["spec"]["template"]["metadata"]["labels"] for part in parts if "template" in part.get("spec", {})]
        labels += [one(manifests("scripts/k8s/app.yaml"), "StatefulSet")["spec"]["template"]["metadata"]["labels"]]
        ports = {port["name"] for part in parts if "template" in part.get("spec", {})
                 for container in part["spec"]["template"]["spec"]["containers"] for port in container.get("ports", [])}
        selectors = []
        for policy in manifests(f"{folder}/policies.yaml"):
            selectors += re.findall(r"'?(?:podSelector|selector)'?: \{'matchLabels': (\{[^}]*\})", str(policy))
            for rule in policy["spec"].get("ingress", []) + policy["spec"].get("egress", []):
                assert {port["port"] for port in rule["ports"] if isinstance(port["port"], str)} <= ports
        assert len(selectors) >= 3
        for selector in selectors:
            assert any(yaml.safe_load(selector).items() <= label.items() for label in labels), selector
        monitor = one(manifests("scripts/k8s/monitoring.yaml"), "ServiceMonitor")["spec"]
        [service] = [part for part in parts if part["kind"] == "Service" and part["metadata"]["name"] == "limpet-status"]
        assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
        assert monitor["endpoints"][0]["port"] in {port["name"] for port in service["spec"]["ports"]}


KUBERNETES = pytest.mark.parametrize("path", ["scripts/k8s/limpet.yaml", "scripts/k8s/cluster/cluster.yaml"])


@KUBERNETES
def test_the_configuration_for_kubernetes_is_valid(tmp_path, path):
    config = next(part["data"] for part in manifests(path) if part["metadata"]["name"] == "limpet")["limpet.conf"]
    config = re.sub(r"^(pid|error_log) .*$", "", config, flags=re.MULTILINE)
    config = re.sub(r"resolver \S+", "resolver 127.0.0.1", config)  # a name of the cluster's
    for name in ("redis.pw", "cluster.key"):
        (tmp_path / name).write_text("as good as any other")
    config = config.replace("/etc/limpet/store", str(tmp_path))
    is_valid(config.replace("listen 8080", "listen {port}"))


@KUBERNETES
def test_kubernetes_manifests_fit_together(path):
    app, limpet = manifests("scripts/k8s/app.yaml"), manifests(path)
    service, pods = one(app, "Service"), one(app, "StatefulSet")
    assert service["spec"]["clusterIP"] == "None", "headless: each pod has a record of its own"
    assert pods["spec"]["serviceName"] == service["metadata"]["name"]
    configs = {part["metadata"]["name"]: part["data"] for part in limpet if part["kind"] == "ConfigMap"}
    ports = {}
    for part in (*app, *limpet):
        if part["kind"] not in ("StatefulSet", "Deployment"):
            continue
        name, template = part["metadata"]["name"], part["spec"]["template"]
        assert part["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()
        container, *helpers = template["spec"]["containers"]
        volumes = template["spec"].get("volumes", [])
        assert {volume["configMap"]["name"] for volume in volumes if "configMap" in volume} <= set(configs)
        claims = [claim["metadata"] for claim in part["spec"].get("volumeClaimTemplates", [])]
        there = {one["name"] for one in [*volumes, *claims]}
        assert {mount["name"] for mount in container.get("volumeMounts", [])} == there
        for helper in helpers:
            assert {mount["name"] for mount in helper["volumeMounts"]} <= there and helper["image"] == container["image"]
        ports[name] = {port["name"]: port["containerPort"] for port in container["ports"]}
        (probe,) = [probe for how, probe in container["readinessProbe"].items() if how in ("httpGet", "tcpSocket")]
        assert probe["port"] in ports[name]
        assert [part["spec"]["ports"][0]["targetPort"] for part in limpet
                if part["kind"] == "Service" and part["metadata"]["name"] == name] <= list(ports[name])
    config = configs["limpet"]["limpet.conf"]
    assert f"server {service['metadata']['name']}.default.svc" in config
    assert re.search(r"service=http\b", config) and service["spec"]["ports"][0]["name"] == "http"
    for name, number in ports["limpet"].items():
        assert f"listen {number};" in config, name


def test_the_cluster_for_kubernetes_has_its_redis_and_its_secrets():
    parts = manifests("scripts/k8s/cluster/cluster.yaml")
    files = {name: text for part in parts if part["kind"] == "ConfigMap" for name, text in part["data"].items()}
    ports = {part["metadata"]["name"]: part["spec"]["ports"][0]["port"] for part in parts if part["kind"] == "Service"}
    assert f"server limpet-redis.default.svc.cluster.local:{ports['limpet-redis']};" in files["limpet.conf"]
    used = set()
    for kind, file in (("Deployment", "limpet.conf"), ("StatefulSet", "redis.conf")):
        pods = one(parts, kind)["spec"]["template"]["spec"]
        where = {mount["name"]: mount["mountPath"] for mount in pods["containers"][0]["volumeMounts"]}
        for volume in pods["volumes"]:
            for item in volume.get("secret", {}).get("items", []):
                assert f"{where[volume['name']]}/{item['path']}" in files[file]
                used.add(item["key"])
    made = set(re.findall(r"--from-file=(\S+)", read("scripts/k8s/cluster/cluster.yaml")))
    assert used == made == {"cluster.key", "redis.pw", "users.acl"}


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
        assert sorted(complete(BINARY, "se")) == ["servers", "session", "sessions"]
        assert complete(BINARY, "-s", "re") == ["reload", "reopen"]
        assert complete(*command, "sessions", "") == ["one"]
        assert complete(*command, "drain", "") == ["app"]
        assert complete(*command, "drain", "app", "127") == [f"127.0.0.1:{origin.port}"]
        assert complete(*command, "drain", "app", "x", "--") == ["--help", "--json", "--deadline", "--move", "--socket"]
        assert complete(*command, "rebalance", "") == ["app"]
        assert complete(*command, "rebalance", "app", "--d") == ["--dry-run"]


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


def archive(folder):
    """What the scripts take for Debian's archive."""
    script = f"source {os.path.join(ROOT, 'scripts/lib.sh')}; name=$(debian_mirror); echo $name"
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, env=dict(os.environ, APT_CONFIG_DIR=str(folder)))


def test_packages_come_from_where_this_machine_gets_them(tmp_path):
    lists = tmp_path / "sources.list.d"
    lists.mkdir()
    none = archive(tmp_path)
    assert none.returncode != 0 and none.stdout == "" and "no Debian archive is configured" in none.stderr
    (lists / "old.list.disabled").write_text("deb http://disabled.example/debian bookworm main\n")
    (lists / "other.list").write_text("deb https://other.example/tools bookworm main\n")
    assert archive(tmp_path).returncode != 0
    (lists / "own.sources").write_text("Types: deb\nURIs: http://own.example/debian/\nSuites: bookworm\n")
    assert archive(tmp_path).stdout == "http://own.example/debian/\n"
    (tmp_path / "sources.list").write_text("deb [signed-by=/x] http://first.example/debian bookworm main\n")
    assert archive(tmp_path).stdout == "http://first.example/debian\n"


def test_no_archive_is_named_here():
    listed = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], capture_output=True, text=True)
    if listed.returncode != 0:
        pytest.skip("no checkout")
    names = [name for name in listed.stdout.split("\0") if name and os.path.isfile(os.path.join(ROOT, name))]
    host = re.compile(r"\b(?:deb|security|snapshot|archive|ftp|ports)\.(?:debian|ubuntu)\.(?:org|com)\b")
    assert [name for name in names if host.search(open(os.path.join(ROOT, name), errors="replace").read())] == []
