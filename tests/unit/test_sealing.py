from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.sealing import CannotOpen, Keyring, parse_keys

NEW, OLD = bytes(range(32)), bytes(reversed(range(32)))
KEYRING = Keyring({"new": NEW, "old": OLD})

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def written(**keys: bytes) -> str:
    return ",".join(f"{name}:{base64.b64encode(key).decode()}" for name, key in keys.items())


@given(values)
def test_what_was_sealed_opens_as_it_was(value: object) -> None:
    assert KEYRING.open_json(KEYRING.seal_json(value, "acme/r1"), "acme/r1") == value


@pytest.mark.parametrize("length", [0, 1, 1000, 1023, 1024, 1025, 100_000])
def test_length_does_not_matter(length: int) -> None:
    assert KEYRING.open_json(KEYRING.seal_json("x" * length, "here"), "here") == "x" * length


def test_half_a_surrogate_pair_survives() -> None:
    assert KEYRING.open_json(KEYRING.seal_json("\ud800", "here"), "here") == "\ud800"


def test_repetition_is_compressed_before_it_is_sealed() -> None:
    assert len(KEYRING.seal_json(["the same thing"] * 1000, "here")) < 1000


def test_nothing_of_the_value_shows() -> None:
    sealed = KEYRING.seal_json({"password": "marker-4711"}, "here")
    assert b"marker" not in sealed
    assert b"password" not in sealed


def test_the_same_value_seals_differently_each_time() -> None:
    assert KEYRING.seal(b"value", "here") != KEYRING.seal(b"value", "here")


def test_a_value_opens_only_where_it_belongs() -> None:
    with pytest.raises(CannotOpen):
        KEYRING.open(KEYRING.seal(b"value", "acme"), "globex")


SEALED = KEYRING.seal(b"value", "here")


@pytest.mark.parametrize("position", range(len(SEALED)))
def test_any_changed_byte_is_noticed(position: int) -> None:
    for change in range(1, 256):
        changed = bytearray(SEALED)
        changed[position] ^= change
        with pytest.raises(CannotOpen):
            KEYRING.open(bytes(changed), "here")


@pytest.mark.parametrize("length", range(len(SEALED)))
def test_a_cut_value_is_noticed(length: int) -> None:
    with pytest.raises(CannotOpen):
        KEYRING.open(SEALED[:length], "here")


def test_an_older_key_still_opens_but_no_longer_seals() -> None:
    before = Keyring({"old": OLD})
    assert KEYRING.open(before.seal(b"value", "here"), "here") == b"value"
    with pytest.raises(CannotOpen, match="no encryption key named 'new'"):
        before.open(KEYRING.seal(b"value", "here"), "here")


def test_keys_are_read_in_the_order_they_are_written() -> None:
    assert list(parse_keys(written(new=NEW, old=OLD)).items()) == [("new", NEW), ("old", OLD)]
    sealed = Keyring.parse(written(new=NEW, old=OLD)).seal(b"value", "here")
    assert Keyring({"new": NEW}).open(sealed, "here") == b"value"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "new",
        "new:",
        "new:not base64",
        written(new=b"too short"),
        written(new=NEW) + ",",
        written(new=NEW) + "," + written(new=OLD),
        written(**{"": NEW}),
        written(**{"n" * 65: NEW}),
    ],
)
def test_a_bad_key_is_refused_without_being_shown(text: str) -> None:
    with pytest.raises(ValueError, match="expected encryption keys") as caught:
        parse_keys(text)
    assert base64.b64encode(NEW).decode() not in str(caught.value)
