"""The server that forks, for every test of this folder."""

import pytest

from tests.processes import Processes, the_processes


@pytest.fixture(scope="session")
def processes() -> Processes:
    return the_processes()
