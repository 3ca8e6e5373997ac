"""What is in examples/deploy is valid, fits together, and does what it says when it is run."""

import configparser
import json
import re
import shlex
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
import yaml
from tests.apps.server import EXAMPLES, Server, serving
from tests.redis.servers import RedisServer, until

DEPLOY = EXAMPLES / "deploy"
BIN = Path(sys.executable).parent


def deployment() -> dict[str, Any]:
    found, _ = yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text())
    return dict(found)


def container() -> dict[str, Any]:
    (found,) = deployment()["spec"]["template"]["spec"]["containers"]
    return dict(found)


def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"])


def unit() -> configparser.SectionProxy:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str
    parser.read(DEPLOY / "schedcore@.service")
    return parser["Service"]


def dockerfile(word: str) -> list[str]:
    (found,) = re.findall(rf"^{word} (\[.*\])$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    return list(json.loads(found))


def grace_times() -> dict[str, float]:
    return {
        "kubernetes": deployment()["spec"]["template"]["spec"]["terminationGracePeriodSeconds"],
        "compose": float(compose()["jobs"]["stop_grace_period"].removesuffix("s")),
        "systemd": float(unit()["TimeoutStopSec"]),
    }


def checked(*line: str | Path) -> None:
    done = subprocess.run(list(map(str, line)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARN" not in done.stderr


def test_the_manifests_are_what_kubernetes_takes() -> None:
    """Deployment and disruption budget have no field that Kubernetes does not know, and each is complete."""
    checked(BIN / "kubernetes-validate", "--strict", DEPLOY / "kubernetes.yaml")


def test_the_compose_file_is_what_compose_takes() -> None:
    """It is valid by the Compose specification's own schema."""
    checked(BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", DEPLOY / "compose.yaml")


@pytest.mark.parametrize(
    ("file", "wrong", "right"),
    [
        ("kubernetes.yaml", "terminationGracePeriod: 30", "terminationGracePeriodSeconds: 30"),
        ("compose.yaml", "stop_grace: 30s", "stop_grace_period: 30s"),
    ],
)
def test_the_checks_find_a_slip(file: str, wrong: str, right: str, tmp_path: Path) -> None:
    """A field with a wrong name is not let pass."""
    slipped = tmp_path / file
    slipped.write_text((DEPLOY / file).read_text().replace(right, wrong))
    schema = ("--builtin-schema", "vendor.compose-spec")
    line = ("kubernetes-validate", "--strict") if "kube" in file else ("check-jsonschema", *schema)
    with pytest.raises(AssertionError, match=wrong.partition(":")[0]):
        checked(BIN / line[0], *line[1:], slipped)


@pytest.mark.skipif(
    shutil.which("systemd-analyze") is None,
    reason="systemd-analyze is not here: it comes with Debian's package systemd, and no package index has it",
)
def test_the_unit_is_what_systemd_takes(tmp_path: Path) -> None:
    """By systemd nothing is said about it, once its command is one that is here."""
    mine = tmp_path / "schedcore@.service"
    text = (DEPLOY / "schedcore@.service").read_text()
    mine.write_text(text.replace("/opt/billing/.venv/bin", str(BIN)))
    done = subprocess.run(["systemd-analyze", "verify", mine], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_grace_is_longer_than_the_drain() -> None:
    """Whoever ends it waits longer than runs have to come to their end."""
    (drain,) = re.findall(r"drain=(\d+)", (DEPLOY / "app.py").read_text())
    assert {who: time for who, time in grace_times().items() if time < int(drain) + 5} == {}


def test_all_run_the_same() -> None:
    """Container, service and unit run one command, without a shell that would keep signals for itself."""
    assert dockerfile("ENTRYPOINT") == ["schedcore"]
    words = [dockerfile("CMD"), container()["args"][:2], compose()["jobs"]["command"][:2]]
    words.append(shlex.split(unit()["ExecStart"])[1:])
    assert words == [["run", "app:scheduler"]] * 4
    assert "command" not in container()


def test_sigterm_lets_a_run_end(tmp_path: Path) -> None:
    """What they run, ended in the middle of a run as they end it, has finished it well within their grace."""
    words = ("-m", "schedcore", *dockerfile("CMD"))
    with serving("deploy", *words, folder=tmp_path) as (server, _):
        until(lambda: "begins" in server.said, what="a run")
        before = monotonic()
        assert server.stop() == 0, server.said
        assert monotonic() - before < min(grace_times().values()) - 20
        assert "sync_invoices of" in server.said
        assert "Traceback" not in server.said


def test_replicas_share_the_jobs_through_a_rolling_restart(tmp_path: Path) -> None:
    """As many as the manifests have run each time once, also while one after the other is replaced."""
    number = deployment()["spec"]["replicas"]
    assert number == compose()["jobs"]["deploy"]["replicas"]
    words = ("-m", "schedcore", *dockerfile("CMD"))
    with RedisServer() as redis, ExitStack() as stack:

        def start(name: str) -> Server:
            settings = {"SCHEDCORE_REDIS_URL": redis.url}
            return stack.enter_context(Server("deploy", *words, log=tmp_path / name, settings=settings))

        replicas = [start(f"old {each}") for each in range(number)]
        until(lambda: sum(len(each.beats()) for each in replicas) >= 2, what="two runs")
        for each in range(number):
            replicas.append(start(f"new {each}"))
            assert replicas[each].stop() == 0, replicas[each].said
        before = sum(len(each.beats()) for each in replicas)
        until(lambda: sum(len(each.beats()) for each in replicas) > before, what="a run of the new ones")
        times = [at for each in replicas for at, who in each.beats().items() for _ in who]
        assert len(times) == len(set(times))
        seconds = sorted(int(at[:2]) * 3600 + int(at[3:5]) * 60 + int(at[6:]) for at in times)
        assert {later - earlier for earlier, later in pairwise(seconds)} == {2}  # none is left out


def test_the_probes_are_answered(tmp_path: Path) -> None:
    """With the manifest's own arguments, but for the port, each of its probes finds what it asks for."""
    *words, port = container()["args"]
    assert [each["containerPort"] for each in container()["ports"]] == [int(port)]
    with serving("deploy", "-m", "schedcore", *words, "{port}", folder=tmp_path) as (server, _):
        for probe in ("livenessProbe", "readinessProbe"):
            url = f"http://127.0.0.1:{server.port}{container()[probe]['httpGet']['path']}"
            until(lambda url=url: answers(url), what=probe)
        in_compose = re.findall(r"http://127.0.0.1:(\d+)(/\w+)", compose()["jobs"]["healthcheck"]["test"][-1])
        assert in_compose == [(port, container()["readinessProbe"]["httpGet"]["path"])]
        assert server.stop() == 0


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError as error:
        error.close()  # it is an answer, too
        return False
    except OSError:
        return False
