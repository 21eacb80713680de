"""pyproject.toml, constraints.txt, environment.yml and what is installed agree."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())
MAKEFILE = (ROOT / "Makefile").read_text()

# The tools that install, the course itself, and the packages pinned by hash instead.
OUTSIDE = {"pip", "setuptools", "wheel", canonicalize_name(PROJECT["name"])}


def requirements(lines):
    kept = (line.partition("#")[0].strip() for line in lines)
    return [Requirement(line) for line in kept if line]


PINS = {
    canonicalize_name(pin.name): pin
    for pin in requirements((ROOT / "constraints.txt").read_text().splitlines())
}
DIRECT = requirements(PROJECT["dependencies"]) + [
    requirement
    for extra in PROJECT["optional-dependencies"].values()
    for requirement in requirements(extra)
]
HASHED = {
    canonicalize_name(name)
    for name in re.findall(
        r"^([\w-]+)==\S+ --hash=sha256:[0-9a-f]{64}$",
        (ROOT / "tools" / "data-packages.txt").read_text(),
        re.MULTILINE,
    )
}


def test_every_pin_is_exact():
    assert "torch" in PINS
    for pin in PINS.values():
        assert re.fullmatch(r"==[^*]+", str(pin.specifier)), f"{pin} is not exact"


@pytest.mark.parametrize("wanted", DIRECT, ids=str)
def test_each_direct_dependency_is_pinned_to_a_version_that_it_allows(wanted):
    pin = PINS.get(canonicalize_name(wanted.name))
    assert pin, f"constraints.txt does not pin {wanted.name}"
    version = str(pin.specifier).removeprefix("==")
    assert wanted.specifier.contains(version), f"{wanted} does not allow {version}"


def test_what_is_installed_is_what_is_pinned():
    """All that core and dev bring along, however deep, but what CUDA builds add.

    Build tags (+cpu) are no part of a version.
    """
    wrong = []
    installed = reachable(f"{PROJECT['name']}[dev,gpu]")
    assert {"torch", "transformers", "numpy", "pytest"} < installed.keys()
    for name, version in sorted(installed.items()):
        pin = PINS.get(name)
        if pin is None:
            wrong.append(f"{name} {version} is not pinned")
        elif version.public != str(pin.specifier).removeprefix("=="):
            wrong.append(f"{name} is {version}, pinned: {pin.specifier}")
    assert not wrong, "\n".join(wrong)


def reachable(root):
    """Name and version of every installed distribution that `root` needs."""
    found, todo = {}, [Requirement(root)]
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        if name in found and not requirement.extras:
            continue
        distribution = importlib.metadata.distribution(name)
        if name not in OUTSIDE and not name.startswith(("nvidia-", "cuda-")):
            found[name] = Version(distribution.version)
        extras = [*requirement.extras, ""]
        todo += [
            needed
            for needed in map(Requirement, distribution.requires or [])
            if canonicalize_name(needed.name) not in OUTSIDE
            and (
                needed.marker is None
                or any(
                    needed.marker.evaluate(default_environment() | {"extra": extra})
                    for extra in extras
                )
            )
        ]
    return found


def test_the_data_packages_are_installed_by_hash_and_pinned_nowhere_else():
    assert HASHED
    assert not HASHED & PINS.keys()
    for name in HASHED:
        assert importlib.metadata.version(name)


def test_conda_gets_the_same_through_the_same_files():
    *packages, pip = CONDA["dependencies"]
    names = {re.split(r"[ <>=]", package)[0]: package for package in packages}
    assert names.keys() == {"python", "make", "pip"}
    assert pip == {"pip": ["--constraint constraints.txt", "--editable .[gpu]"]}
    python = SpecifierSet(names["python"].removeprefix("python").strip())
    assert python == SpecifierSet(PROJECT["requires-python"])


def test_make_works_inside_the_conda_environment_of_that_name():
    assert f"CONDA_NAME := {CONDA['name']}\n" in MAKEFILE
