"""The inventory: every locked package, as the CycloneDX schema wants it."""

from __future__ import annotations

import json

import lock
import sbom
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from semg.settings import PROJECT_DIR


def test_inventory_is_valid_and_has_every_locked_package_with_its_hashes() -> None:
    text = sbom.make()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    listed = {(one["name"], one["version"]): one for one in json.loads(text)["components"]}
    for one in lock.LOCKS:
        for pin in lock.read((PROJECT_DIR / one.path).read_text()):
            found = listed[pin.name, pin.version]
            assert found["purl"].startswith(f"pkg:pypi/{pin.name}@")
            assert set(pin.hashes) <= {digest["content"] for digest in found["hashes"]}
    for installed in ("numpy", "fastapi", "psycopg2-binary", "pyrage"):
        assert [one["licenses"] for (name, _), one in listed.items() if name == installed][0], installed


def test_scope_tells_what_is_for_the_tests_alone() -> None:
    listed = {one["name"]: one["scope"] for one in json.loads(sbom.make())["components"]}
    assert (listed["fastapi"], listed["pytest"], listed["triton"]) == ("required", "excluded", "optional")


def test_licence_is_what_the_package_says() -> None:
    assert sbom.licence_of("fastapi") == "MIT"
    assert "LGPL" in sbom.licence_of("psycopg2-binary")
    assert sbom.licence_of("package-that-is-not-there") == ""
