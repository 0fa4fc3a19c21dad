"""Writes the inventory of all packages (SBOM) as CycloneDX JSON, from the locks.

    python testing/sbom.py [FILE]     to FILE, else to standard output

Name, version, hashes and where it is needed come from the locks; licences from the packages that are installed here, as
they say it themselves. It is not committed: it is made anew from what is.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from semg.platform.own_python import use_own_python

if __name__ == "__main__":
    use_own_python()

from collections.abc import Iterator
from importlib import metadata

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from cyclonedx.model.license import LicenseAcknowledgement
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

sys.path.insert(0, str(Path(__file__).resolve().parent))
import lock

SCOPES = {lock.TESTS.path: ComponentScope.EXCLUDED, lock.TORCH_CPU.path: ComponentScope.OPTIONAL,
          lock.TORCH.path: ComponentScope.OPTIONAL}  # fmt: skip
"""Excluded: for the tests alone. Optional: one of torch's two builds is installed."""

SAID_ELSEWHERE = {"axe-playwright-python": "MIT", "pyrage": "MIT"}
"""Licences that stand in a package's repository (its LICENSE file), but not in its metadata."""


def licence_of(name: str) -> str:
    """Return what an installed package says of its licence; nothing when it is not installed or says nothing.

    The SPDX expression where there is one, else the classifiers, else the first line of the old field.
    """
    try:
        found = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return ""
    expression = found.get("License-Expression")
    if expression:
        return str(expression)
    classifiers = [
        text.split(" :: ")[-1] for text in found.get_all("Classifier") or [] if text.startswith("License ::")
    ]
    named = [text for text in classifiers if text != "OSI Approved"]
    if named:
        return " AND ".join(dict.fromkeys(named))
    first = (found.get("License") or "").strip().splitlines()
    return first[0] if first and len(first[0]) < 100 else SAID_ELSEWHERE.get(lock.normalise(name), "")


def components(root: Path = lock.ROOT) -> Iterator[Component]:
    """Return every locked package once; one that is in several locks as the first of them has it."""
    seen = set()
    licences = LicenseFactory()
    for one in lock.LOCKS:
        for pin in lock.read((root / one.path).read_text(encoding="utf-8")):
            if (pin.name, pin.version) in seen:
                continue
            seen.add((pin.name, pin.version))
            said = licence_of(pin.name)
            yield Component(
                name=pin.name,
                version=pin.version,
                type=ComponentType.LIBRARY,
                bom_ref=f"{pin.name}=={pin.version}",
                purl=PackageURL("pypi", name=pin.name, version=pin.version),
                scope=SCOPES.get(one.path, ComponentScope.REQUIRED),
                hashes=[HashType(alg=HashAlgorithm.SHA_256, content=digest) for digest in pin.hashes],
                licenses=[licences.make_from_string(said, license_acknowledgement=LicenseAcknowledgement.DECLARED)]
                if said
                else [],
                properties=[Property(name="semg:marker", value=pin.marker)] if pin.marker else [],
            )


def make(root: Path = lock.ROOT) -> str:
    """Return the inventory as CycloneDX 1.6 JSON."""
    bom = Bom(components=components(root))
    bom.metadata.component = Component(name="semg", type=ComponentType.APPLICATION, version=metadata.version("semg"))
    bom.register_dependency(bom.metadata.component, bom.components)
    return JsonV1Dot6(bom).output_as_string(indent=2)


if __name__ == "__main__":
    text = make()
    if len(sys.argv) > 1:
        Path(sys.argv[1]).write_text(text + "\n", encoding="utf-8")
    else:
        sys.stdout.write(text + "\n")
