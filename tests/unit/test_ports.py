from __future__ import annotations

import os
import socket

import pytest

from dev import ports
from dev.errors import CannotStart


def test_an_unset_or_empty_port_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert ports.chosen("PERDURE_PORT", 8000) == 8000
    monkeypatch.setenv("PERDURE_PORT", "")
    assert ports.chosen("PERDURE_PORT", 8000) == 8000
    monkeypatch.setenv("PERDURE_PORT", " 9000 ")
    assert ports.chosen("PERDURE_PORT", 8000) == 9000


@pytest.mark.parametrize("text", ["http", "-1", "0", "65536", "80.5", "８０００", "1e3"])
def test_what_is_no_port_is_named_with_its_variable(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("PERDURE_PORT", text)
    with pytest.raises(CannotStart, match=f"PERDURE_PORT={text} is not a port"):
        ports.chosen("PERDURE_PORT", 8000)


def test_two_names_for_one_port_are_refused() -> None:
    with pytest.raises(CannotStart, match="PERDURE_PORT and PERDURE_TEMPORAL_PORT are both 8000"):
        ports.require_different({"PERDURE_PORT": 8000, "PERDURE_TEMPORAL_PORT": 8000, "UI": 1})
    ports.require_different({"PERDURE_PORT": 8000, "PERDURE_TEMPORAL_PORT": 8001})


def test_a_taken_port_names_who_has_it_and_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        told = rf"port {port} is taken by .+ \(pid {os.getpid()}\).*PERDURE_PORT="
        with pytest.raises(CannotStart, match=told):
            ports.require_free({"PERDURE_PORT": port})
    ports.require_free({"PERDURE_PORT": port})
