from __future__ import annotations

import pytest

from dev.demo.signals import signs


def kinds(*said: str) -> list[str]:
    return [sign.kind for sign in signs("\n".join(said))]


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("Grace: Our budget was frozen on Monday.", "budget"),
        ("Grace: They cut the funding for this in half.", "budget"),
        ("Grace: My last day is the thirtieth.", "champion_leaves"),
        ("Grace: The security review is stuck, and nobody knows for how long.", "review_blocked"),
        ("Grace: We are comparing you with two alternatives.", "competitor"),
        ("Grace: At the price you name it is too expensive for us.", "price"),
        ("Grace: The rollout is postponed.", "timing"),
        ("Grace: Our director is not convinced.", "no_decision_maker"),
        ("Grace: To be frank, the crews are frustrated with the app.", "dissatisfied"),
    ],
)
def test_a_sign_is_found_by_its_words(said: str, kind: str) -> None:
    assert kinds("Ada: How are things?", said, "Ada: I see.") == [kind]


@pytest.mark.parametrize(
    "said",
    [
        "Grace: Our budget is not frozen.",
        "Grace: Nobody is comparing you with alternatives.",
        "Grace: The freeze on the budget was lifted last week.",
        "Grace: Security had stopped it, but that is resolved.",
        "Grace: At my last company legal blocked every contract.",
        "Grace: If the budget is cut, we will tell you.",
        "Ada: Is your budget frozen?",
        "Grace: We moved to a new office, and the offer of coffee is better there.",
    ],
)
def test_what_is_denied_over_elsewhere_imagined_or_asked_is_none(said: str) -> None:
    assert kinds(said) == []


def test_a_quote_stands_in_the_conversation_and_names_its_speaker() -> None:
    said = (
        "Ada: And the order?\nGrace Moss: Please wait. Version 2.0 is fine, but our budget is gone."
    )
    (sign,) = signs(said)
    assert sign.quote == "Version 2.0 is fine, but our budget is gone."
    assert sign.quote in said
    assert sign.speaker == "Grace Moss"


def test_each_kind_is_told_once_and_several_kinds_all() -> None:
    said = (
        "Grace: Our budget was cut. And the funding is frozen.",
        "Grace: Also, my last day is Friday.",
    )
    assert kinds(*said) == ["budget", "champion_leaves"]
