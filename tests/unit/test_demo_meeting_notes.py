from __future__ import annotations

import json

from dev.demo.meeting_notes import answer
from llm.demo.view import Said, View

NOTES = """Here are the notes of a meeting on 2026-11-20:

<notes>
We spoke of the launch.
- Ada: send the draft, by 2026-11-21
- Grace: review it.
</notes>"""


def asked(text: str, **more: object) -> View:
    return View(wire="messages", model="m", system="", said=(Said("user", text),), **more)  # type: ignore[arg-type]


def test_action_items_are_read_from_the_notes() -> None:
    reply = answer(asked(NOTES, schema={}))
    assert reply is not None
    assert json.loads(reply.text)["actions"] == [
        {"who": "Ada", "what": "send the draft", "due": "2026-11-21"},
        {"who": "Grace", "what": "review it", "due": None},
    ]


def test_summary_is_labelled_and_of_these_notes() -> None:
    reply = answer(asked(NOTES))
    assert reply is not None
    assert reply.text.startswith("[demo model]")
    assert "We spoke of the launch." in reply.text
    assert "Ada, Grace took something on." in reply.text


def test_anything_else_is_left_to_the_plain_demo_model() -> None:
    assert answer(asked("What is the weather?")) is None
