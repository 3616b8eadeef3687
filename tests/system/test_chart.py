"""The Helm chart: its values fit its schema, what it renders is right, and its configuration is valid. helm itself has not looked at
it here: Debian has none."""
import importlib.machinery
import importlib.util
import json
import os
import re
import subprocess

import jsonschema
import pytest
import yaml

from daemon import Limpet

ROOT = os.path.normpath(os.path.join(os.path.dirname(__file__), "../.."))
CHART = os.path.join(ROOT, "scripts/helm/limpet")
ALL = [("networkPolicy.enabled", True), ("serviceMonitor.enabled", True)]


def script(path):
    loader = importlib.machinery.SourceFileLoader(os.path.basename(path).replace("-", "_"), os.path.join(ROOT, path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


helm, checks = script("scripts/helm/render"), script("scripts/check-manifests")


def rendered(name="shop", changes=()):
    _, texts = helm.manifests(name, changes)
    return [part for text in texts.values() for part in yaml.safe_load_all(text) if part]


def schema():
    with open(os.path.join(CHART, "values.schema.json")) as text:
        return json.load(text)


def test_the_values_fit_their_schema():
    values, _ = helm.manifests("shop")
    jsonschema.Draft7Validator(schema()).validate(values)
    assert set(values) <= set(schema()["properties"])


@pytest.mark.parametrize("path, value", [("replicas", 0), ("image.tag", ""), ("replica", 1), ("service.type", "Nodeport"),
                                         ("stopTimeout", "55"), ("sharedMemory", "128MB"), ("networkPolicy.enable", True)])
def test_values_that_are_wrong_are_refused(path, value):
    values, _ = helm.manifests("shop", [(path, value)])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft7Validator(schema()).validate(values)


@pytest.mark.parametrize("changes", [[], ALL, [("podDisruptionBudget.enabled", False)]])
def test_what_it_renders_is_right(changes):
    parts = rendered(changes=changes)
    wrong = [what for part in parts for check in (checks.check_object, checks.check_restricted) for what in check(part)]
    assert wrong == []
    kinds = [part["kind"] for part in parts]
    assert {"ConfigMap", "Service", "StatefulSet"} <= set(kinds)
    assert ("NetworkPolicy" in kinds, "ServiceMonitor" in kinds) == (changes == ALL, changes == ALL)
    assert ("PodDisruptionBudget" in kinds) == (("podDisruptionBudget.enabled", False) not in changes)


def test_two_releases_have_nothing_in_common():
    names = [{(part["kind"], part["metadata"]["name"]) for part in rendered(name, ALL)} for name in ("shop", "blog")]
    assert not names[0] & names[1]
    text = yaml.safe_dump_all(rendered("shop", ALL))
    selectors = re.findall(r"app: (\S+)", text)
    assert set(selectors) == {"shop"}


def test_values_come_where_they_belong():
    [pods] = [part for part in rendered(changes=[("replicas", 3), ("image.tag", "1"), ("resources.limits.cpu", "2"),
                                                 ("sharedMemory", "1Gi")]) if part["kind"] == "StatefulSet"]
    template = pods["spec"]["template"]["spec"]
    assert pods["spec"]["replicas"] == 3 and template["containers"][0]["image"] == "limpet:1"
    assert template["containers"][0]["resources"]["limits"]["cpu"] == "2"
    assert [volume["emptyDir"]["sizeLimit"] for volume in template["volumes"] if volume["name"] == "shm"] == ["1Gi"]


def test_its_configuration_is_valid():
    [files] = [part["data"] for part in rendered() if part["kind"] == "ConfigMap"]
    config = files["limpet.conf"].replace("include /etc/limpet/k8s/sites.conf;", files["sites.conf"])
    config = re.sub(r"^(pid|error_log) .*$", "", config, flags=re.MULTILINE)
    config = re.sub(r"resolver \S+", "resolver 127.0.0.1", config)  # a name of the cluster's
    with Limpet(config, start=False) as limpet:
        open(limpet.path("error.log"), "w").close()
        done = limpet.run("-t")
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("template", ["{{ .Values.none }}", "{{ include \"x\" . }}", "{{- range .Values.a }}", "a }}", "{{- if .Values.config }}",
                                      "{{ .Values.image }}"])
def test_what_the_renderer_does_not_know_it_refuses(template):
    values, _ = helm.manifests("shop")
    with pytest.raises(SystemExit):
        helm.render(template, {"Values": values, "Release": {"Name": "x"}, "Chart": {}})


def test_the_command_prints_them():
    done = subprocess.run([os.path.join(ROOT, "scripts/helm/render"), "--set", "replicas=2", "shop"], capture_output=True, text=True)
    assert done.returncode == 0 and "replicas: 2" in done.stdout
