"""The example of a site's own kustomization, in the document, changes what there is."""

import re
import textwrap
from typing import Any

import yaml

from tests.deploy.manifests import BASE, ROOT, Manifest

DOCUMENT = (ROOT / "docs" / "kubernetes.md").read_text()
EXAMPLES = re.findall(r"   ```\n(   apiVersion: kustomize.*?)   ```\n", DOCUMENT, re.DOTALL)


def test_it_merges_settings_and_replaces_what_each_path_names() -> None:
    [example] = EXAMPLES
    site: dict[str, Any] = yaml.safe_load(textwrap.dedent(example))
    base = (ROOT / "deploy" / "kubernetes" / "base" / "settings.env").read_text()
    [settings] = site["configMapGenerator"]
    assert settings["behavior"] == "merge"
    for literal in settings["literals"]:
        assert f"\n{literal.partition('=')[0]}=" in f"\n{base}"
    for patch in site["patches"]:
        [found] = [m for m in BASE if (m["kind"], m["metadata"]["name"]) == tuple(patch["target"].values())]
        for change in yaml.safe_load(patch["patch"]):
            assert change["op"] == "replace"
            assert reached(found, change["path"]) != change["value"]


def reached(manifest: Manifest, path: str) -> Any:
    at: Any = manifest
    for part in path.strip("/").split("/"):
        at = at[int(part)] if isinstance(at, list) else at[part]
    return at
