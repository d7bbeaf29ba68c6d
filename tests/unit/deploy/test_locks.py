"""The lock files: installable anywhere, and what the `.in` files ask for."""

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

REQUIREMENTS = Path(__file__).parents[3] / "requirements"
LOCKED = ["dev.lock", "serving.lock", "pipelines.lock", "uv.txt"]
PIN = re.compile(r"^([A-Za-z0-9_.-]+)(?:\[[^]]*\])?==(\S+)", re.MULTILINE)


def pins(name: str) -> dict[str, set[Version]]:
    """Versions by project; more than one where markers decide."""
    found: dict[str, set[Version]] = {}
    for project, version in PIN.findall((REQUIREMENTS / name).read_text()):
        found.setdefault(canonicalize_name(project), set()).add(Version(version))
    return found


def wanted(name: str) -> list[Requirement]:
    """Requirements of an `.in` file and of those that it includes, members left out."""
    requirements: list[Requirement] = []
    for line in (REQUIREMENTS / name).read_text().splitlines():
        text = line.partition(" #")[0].strip()
        if text.startswith("-r "):
            requirements += wanted(text.removeprefix("-r "))
        elif text and not text.startswith(("#", "-e")):
            requirements.append(Requirement(text))
    return requirements


@pytest.mark.parametrize("name", LOCKED)
def test_a_lock_names_no_host(name: str) -> None:
    text = (REQUIREMENTS / name).read_text()

    assert not re.search(r"://|--index|--extra-index|--find-links|--trusted-host", text)


@pytest.mark.parametrize("name", LOCKED)
def test_every_pin_has_hashes(name: str) -> None:
    for entry in re.split(r"\n(?=[A-Za-z0-9-])", (REQUIREMENTS / name).read_text()):
        assert PIN.match(entry) is None or "--hash=sha256:" in entry, entry.splitlines()[0]


@pytest.mark.parametrize("name", ["dev", "serving", "pipelines"])
def test_a_lock_has_all_that_is_asked_for_within_its_bounds(name: str) -> None:
    locked = pins(f"{name}.lock")

    for requirement in wanted(f"{name}.in"):
        versions = locked.get(canonicalize_name(requirement.name), set())
        assert versions, f"{requirement.name} is not locked: make lock"
        assert all(requirement.specifier.contains(version, prereleases=True) for version in versions), str(requirement)


@pytest.mark.parametrize("name", ["serving.lock", "pipelines.lock"])
def test_images_run_the_versions_that_were_tested(name: str) -> None:
    tested = pins("dev.lock")

    for project, versions in pins(name).items():
        assert versions <= tested[project], project


def test_every_member_is_installed_by_name() -> None:
    root = REQUIREMENTS.parent
    members = {f"-e ./{path.parent.relative_to(root)}" for path in root.glob("[ls]*/*/pyproject.toml")}

    assert set((REQUIREMENTS / "members.in").read_text().split("\n")) - {""} == members
    assert all(line in (REQUIREMENTS / "dev.lock").read_text() for line in members)
