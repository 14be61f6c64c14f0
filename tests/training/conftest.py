"""The server that forks, for every test of this folder."""

from collections.abc import Iterator

import pytest

from tests.processes import Processes, processes


@pytest.fixture(scope="session", name="processes")
def _processes() -> Iterator[Processes]:
    with processes() as server:
        yield server
