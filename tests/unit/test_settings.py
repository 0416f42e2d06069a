from __future__ import annotations

import base64

import pytest

from settings import BadSettings, Settings, load

KEY = base64.b64encode(b"k" * 32).decode()
OLD = base64.b64encode(b"o" * 32).decode()
WHOLE = {
    "DATABASE_URL": "postgresql://postgres@db.example:5499/perdure",
    "PERDURE_ENCRYPTION_KEYS": f"k1:{KEY}",
}


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for field in Settings.model_fields.values():
        monkeypatch.delenv(str(field.validation_alias), raising=False)


def given(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Settings:
    for name, value in (WHOLE | environment).items():
        monkeypatch.setenv(name, value)
    return load()


def test_two_variables_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = given(monkeypatch)
    assert (settings.host, settings.port) == ("127.0.0.1", 8000)
    assert settings.temporal_address == "127.0.0.1:7233"
    assert settings.keys == {"k1": b"k" * 32}


def test_each_missing_one_has_a_line() -> None:
    with pytest.raises(BadSettings) as caught:
        load()
    lines = str(caught.value).splitlines()
    assert [line.split()[0] for line in lines] == ["DATABASE_URL", "PERDURE_ENCRYPTION_KEYS"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "mysql://hunter2"),
        ("PERDURE_ENCRYPTION_KEYS", "hunter2"),
        ("PERDURE_ENCRYPTION_KEYS", "k1:hunter2=="),
        ("PERDURE_ENCRYPTION_KEYS", f"k1:{KEY},k1:{OLD}"),
        ("PERDURE_PORT", "hunter2"),
        ("PERDURE_PORT", "65536"),
        ("TEMPORAL_ADDRESS", "hunter2"),
        ("TEMPORAL_TLS", "hunter2"),
        ("PERDURE_ADMIN_KEY", "hunter2"),
        ("PERDURE_CODEC_TOKEN", "hunter2"),
        ("PERDURE_TEMPORAL_UI_URL", "ftp://hunter2"),
        ("PERDURE_LOG_LEVEL", "hunter2"),
    ],
)
def test_a_wrong_one_has_a_line_that_keeps_its_value_to_itself(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    with pytest.raises(BadSettings) as caught:
        given(monkeypatch, **{name: value})
    line = str(caught.value)
    assert line.startswith(f"{name} is wrong: ")
    assert "\n" not in line
    assert "hunter2" not in line
    assert KEY not in line


def test_the_first_key_is_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = given(monkeypatch, PERDURE_ENCRYPTION_KEYS=f"k2:{KEY}, k1:{OLD}")
    assert list(settings.keys) == ["k2", "k1"]


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    assert given(monkeypatch, PERDURE_PORT="", TEMPORAL_API_KEY="").port == 8000


def test_allowed_hosts_are_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = given(monkeypatch, PERDURE_HTTP_ALLOWED_HOSTS="10.0.0.7, crm.internal:8443,")
    assert settings.http_allowed_hosts == ("10.0.0.7", "crm.internal:8443")


def test_own_endpoints_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = given(
        monkeypatch,
        PERDURE_PORT="8001",
        TEMPORAL_ADDRESS="temporal.example:7301",
        PERDURE_TEMPORAL_UI_URL="https://ui.example/",
    )
    assert settings.own_endpoints == {
        ("127.0.0.1", 8001),
        ("temporal.example", 7301),
        ("ui.example", 443),
        ("db.example", 5499),
    }


def test_a_socket_has_no_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = given(monkeypatch, DATABASE_URL="postgresql://postgres@/perdure?host=/tmp/x")
    assert settings.own_endpoints == {("127.0.0.1", 8000), ("127.0.0.1", 7233)}


def test_a_printed_setting_shows_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = given(monkeypatch, PERDURE_ADMIN_KEY="hunter2hunter2hunter2")
    assert "hunter2" not in repr(settings)
    assert KEY not in repr(settings)
