from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.acceptance.installation import Installation

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Serving, for all tests that leave it so; in surroundings as bad as a user's may be."""
    home: Path = tmp_path_factory.mktemp("up") / "my home"
    bad = {
        "PGPORT": "9999",
        "PGSSLMODE": "require",
        "LANG": "tlh_KX.UTF-8",
        "PYTHONIOENCODING": "ascii",
        "HTTP_PROXY": "http://127.0.0.1:9",
        "ALL_PROXY": "http://127.0.0.1:9",
    }
    with Installation(home, **bad) as installation:
        installation.start()
        yield installation


@pytest.fixture
def another(tmp_path: Path) -> Iterator[Installation]:
    with Installation(tmp_path / "home") as another:
        yield another
