"""compose.yaml and the Dockerfiles: nothing named that does not exist, one port a service everywhere."""

import importlib
import importlib.util
import json
import re
import shutil
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from deploy.local.settings import DEFAULT_PORTS, SERVICES

ROOT = Path(__file__).parents[3]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
DOCKERFILES = sorted((ROOT / "deploy" / "docker").glob("*Dockerfile"))


def dashed(service: str) -> str:
    """DNS names have no underscore."""
    return service.replace("_", "-")


def test_it_is_valid_by_the_compose_specification() -> None:
    schema = files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"

    jsonschema.validate(COMPOSE, json.loads(schema.read_text()))


def test_the_whole_platform_is_there() -> None:
    expected = {"redis", "postgres", "mlflow", "pipelines", "follower", "prometheus", "alertmanager", "grafana"}

    assert set(COMPOSE["services"]) == expected | {dashed(service) for service in SERVICES}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_the_port_that_it_declares(service: str) -> None:
    declared = importlib.import_module(service).SERVICE.port
    composed = COMPOSE["services"][dashed(service)]

    assert composed["ports"] == [f"127.0.0.1:{declared}:{declared}"]
    assert composed["build"]["args"] == {"SERVICE": service, "PORT": str(declared)}
    assert DEFAULT_PORTS[service] == declared


@pytest.mark.parametrize("service", SERVICES)
def test_prometheus_scrapes_each_service_by_its_compose_name(service: str) -> None:
    configuration = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    groups = [group for job in configuration["scrape_configs"] for group in job["static_configs"]]

    assert {
        "targets": [f"{dashed(service)}:{DEFAULT_PORTS[service]}"],
        "labels": {"service": service},
    } in groups


def test_every_file_that_is_mounted_or_built_from_exists() -> None:
    for service in COMPOSE["services"].values():
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert (ROOT / source).exists() if source.startswith(".") else source in COMPOSE["volumes"]
        if "build" in service:
            assert (ROOT / service["build"]["dockerfile"]).is_file()


def test_every_long_running_service_has_a_health_check() -> None:
    for name, service in COMPOSE["services"].items():
        if "profiles" in service:
            continue
        dockerfile = service.get("build", {}).get("dockerfile")
        checked = "healthcheck" in service or (dockerfile and "HEALTHCHECK" in (ROOT / dockerfile).read_text())
        assert checked, name


def test_what_is_waited_for_is_there_and_can_be_healthy() -> None:
    for service in COMPOSE["services"].values():
        for name, condition in service.get("depends_on", {}).items():
            assert condition == {"condition": "service_healthy"}
            assert "healthcheck" in COMPOSE["services"][name]


def test_no_secret_stands_in_the_file_and_each_is_in_the_example() -> None:
    text = (ROOT / "compose.yaml").read_text()
    example = (ROOT / ".env.example").read_text()
    named = set(re.findall(r"\$\{([A-Z_]+)", text)) | {secret["environment"] for secret in COMPOSE["secrets"].values()}

    assert named == set(re.findall(r"^([A-Z_]+)=$", example, re.MULTILINE))
    for line in text.splitlines():
        assert not re.search(r"PASSWORD: (?!\"\$\{)", line), line


def test_ports_are_open_to_this_machine_only() -> None:
    ports = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]

    assert ports
    assert all(port.startswith("127.0.0.1:") for port in ports)


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
@pytest.mark.parametrize("service", SERVICES)
def test_a_dockerfile_copies_only_what_exists_and_is_not_ignored(dockerfile: Path, service: str) -> None:
    allowed = re.findall(r"^!(.*)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE)

    for line in re.findall(r"^COPY (?!--from)(.*)$", dockerfile.read_text(), re.MULTILINE):
        for source in line.replace("${SERVICE}", service).split()[:-1]:
            assert (ROOT / source).exists(), source
            assert any(Path(source).is_relative_to(path) for path in allowed), source


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_images_run_as_a_user_of_their_own(dockerfile: Path) -> None:
    assert re.findall(r"^USER (.*)$", dockerfile.read_text(), re.MULTILINE) == ["offers"]


def test_modules_and_programs_that_commands_name_exist() -> None:
    for service in COMPOSE["services"].values():
        command = [str(word) for word in service.get("command", [])]
        if "-m" in command:
            module = command[command.index("-m") + 1]
            assert importlib.util.find_spec(module) is not None, module
    assert (ROOT / "deploy/docker/healthcheck.py").is_file()
    assert shutil.which("python3")


def test_dashboards_and_rules_ask_only_for_metrics_that_services_have() -> None:
    places = ("libs/*/src/*/*.py", "services/pipelines/src/pipelines/*/*.py")
    sources = "".join(path.read_text() for place in places for path in ROOT.glob(place))
    defined = {re.sub(r"_total$", "", name) for name in re.findall(r'"(scoring_[a-z_]+)"', sources)}
    asked = "".join(path.read_text() for path in (ROOT / "deploy/prometheus/rules").glob("*.yml"))
    asked += "".join(path.read_text() for path in (ROOT / "deploy/grafana/dashboards").glob("*.json"))

    for name in re.findall(r"\bscoring_[a-z_]+", asked):
        assert re.sub(r"_(bucket|count|sum|total)$", "", name) in defined, name
