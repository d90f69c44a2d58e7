"""A release on a real cluster: the one of KUBECONFIG, with the image of EARSHOT_CLUSTER_IMAGE.

Without that variable nothing here is collected: no cluster is touched by chance.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator

import pytest

from tests.cluster.kube import Document, Namespace, Release, kubectl, namespace

IMAGE = os.environ.get("EARSHOT_CLUSTER_IMAGE", "")
collect_ignore_glob = [] if IMAGE else ["test_*.py", "security"]

# Small requests, so that two cores hold it all; no autoscaling but where it is tried. Envoy drains for less
# time than it would, which makes it harder to lose no call, and the tests shorter.
SMALL: Document = {
    component: {"resources": {"requests": {"cpu": "50m"}}, "autoscaling": {"enabled": False}}
    for component in ("stt", "classification")
} | {"envoy": {"resources": {"requests": {"cpu": "50m"}}, "drainSeconds": 8}}


def pytest_itemcollected(item: pytest.Item) -> None:
    """A test here may take its time."""
    item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="session")
def space() -> Iterator[Namespace]:
    """A namespace of its own, restricted."""
    with namespace(f"earshot-test-{int(time.time())}") as made:
        yield made


@pytest.fixture(scope="session")
def release(space: Namespace) -> Iterator[Release]:
    """The chart with two pods of each component, for the last of the modules; those before have their own.

    Each test leaves it as it was.
    """
    made = Release(space, IMAGE, SMALL)
    made.install()
    yield made
    made.uninstall()
    assert space.leftovers() == set()


@pytest.fixture
def figure(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Callable[[str], None]:
    """Prints a figure, also where the test passes."""

    def show(text: str) -> None:
        with capsys.disabled():
            print(f"\n    {request.node.name}: {text}", flush=True)  # noqa: T201 - the test's result

    return show


@pytest.fixture(scope="session", autouse=True)
def cluster() -> None:
    """There must be one."""
    kubectl("version")
