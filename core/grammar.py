"""Which words a flow.yaml may hold, and where: from its source to a draft."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, get_args

from core import prompts, words
from core.draft import MODELS, Draft, FlowDraft, Kind, Written
from core.duration import EXPECTED
from core.faults import near, nearest, quoted, strangers
from core.files import Texts
from core.flow import MAX_CONCURRENCY, Channel
from core.head import read_inputs, read_triggers
from core.source import Path, Report, kind_of

MAX_STEPS = 500
MAX_NESTING = 10
MOST_TOKENS = 1_000_000_000

FLOW_KEYS = ("inputs", "triggers", "steps", "output", "format", "timeout", "max_tokens")
FORMATS = ("slack", "markdown", "json")
CHANNELS: tuple[str, ...] = get_args(Channel)
COMMON = ("id", "when", "for_each", "concurrency", "on_error", "timeout", "retry")
KINDS = ", ".join(f"`{kind}`" for kind in MODELS)
LATER = ("document", "gate")
# The words that only some kinds of steps take.
OWN: dict[str, tuple[str, ...]] = {
    "compute": ("with",),
    "skill": ("with",),
    "notify": ("message",),
    **prompts.WORDS,
}
TIMED = ("compute", "skill", "approve", "notify", *prompts.WORDS)
RETRIED = ("compute", "skill", "notify", "steps", "parallel", *prompts.WORDS)
OF_SKILL_MD = ("name", "description", "license", "compatibility", "metadata", "allowed-tools")
INSTEAD_OF_TIMEOUT = {
    "set": "`set` takes no time: leave it out",
    "wait": "`wait` is itself the time: write `wait: 5m`, or `wait: {event: signed, for: 3d}`",
    "steps": "put it on the steps inside, or on the whole flow",
    "parallel": "put it on the steps inside, or on the whole flow",
}


def read_flow(report: Report, texts: Texts) -> FlowDraft:
    """Everything that is wrong with the words alone is told to the report."""
    return _Grammar(report, texts).flow()


def read_head(report: Report) -> FlowDraft:
    """The flow.yaml of a skill whose steps are a workflow in Python."""
    grammar = _Grammar(report, Texts({}, report.faults))
    return grammar.head(("inputs", "triggers", "format"))


class _Grammar:
    def __init__(self, report: Report, texts: Texts) -> None:
        self._report = report
        self._texts = texts
        self._draft = FlowDraft()
        self._ids: dict[str, Path] = {}

    # The whole

    def flow(self) -> FlowDraft:
        report, draft = self._report, self.head(FLOW_KEYS)
        document = report.source.value
        if not isinstance(document, dict):
            return draft
        if "timeout" in document:
            draft.fields["timeout"] = words.length(report, ("timeout",), document["timeout"])
        if "max_tokens" in document:
            here, most = ("max_tokens",), document["max_tokens"]
            draft.fields["max_tokens"] = words.whole(report, here, most, 1, MOST_TOKENS)
        if "output" in document:
            draft.output = Written(("output",), document["output"])
        if "steps" in document:
            draft.steps = self._body(("steps",), document["steps"], None, "")
        else:
            report.error((), "`steps` is missing: a flow is a list of steps")
        return draft

    def head(self, keys: tuple[str, ...]) -> FlowDraft:
        report, draft = self._report, self._draft
        document = report.mapping((), report.source.value, "a mapping with `steps`")
        for key in strangers(document, keys):
            if key in FLOW_KEYS:
                message = f"`{key}` does not belong here: the steps of this skill are workflow.py"
            elif key in OF_SKILL_MD:
                message = f"`{key}` belongs to the frontmatter of SKILL.md"
            else:
                message = f"unknown key {quoted(key)}{near(key, keys)}"
            report.error_at_key((key,), message)
        draft.inputs = read_inputs(report, document.get("inputs"))
        draft.triggers = read_triggers(report, document.get("triggers"))
        if "format" in document:
            draft.fields["format"] = words.choice(report, ("format",), document["format"], FORMATS)
        return draft

    def _body(self, path: Path, value: Any, parent: Draft | None, branch: str) -> list[Draft]:
        if not isinstance(value, list) or not value:
            got = "an empty list" if value == [] else kind_of(value)
            self._report.error(path, f"expected a list of steps, got {got}")
            return []
        depth = 1 + sum(1 for _ in parent.ancestors()) + 1 if parent is not None else 1
        if depth > MAX_NESTING:
            self._report.error(path, f"steps are nested more than {MAX_NESTING} levels deep")
            return []
        drafts: list[Draft] = []
        for position, step in enumerate(value):
            if len(self._draft.every) >= MAX_STEPS:
                self._report.error((*path, position), f"a flow has at most {MAX_STEPS} steps")
                break
            drafts.append(self._step((*path, position), step, parent, branch))
        return drafts

    # A step

    def _step(self, path: Path, value: Any, parent: Draft | None, branch: str) -> Draft:
        step = self._report.mapping(path, value, "a step such as {id: hello, compute: echo}")
        draft = Draft(
            path, self._id(path, step), parent=parent, branch=branch, order=len(self._draft.every)
        )
        self._draft.every.append(draft)
        if not step:
            if isinstance(value, dict):
                self._report.error(path, "this step is empty")
            return draft
        draft.kind = self._kind(path, step)
        self._common(draft, step)
        if draft.kind is not None:
            self._READERS[draft.kind](self, draft, step[draft.kind], step)
        if "on_error" in step:
            self._on_error(draft, step["on_error"])
        return draft

    def _id(self, path: Path, step: dict[str, Any]) -> str:
        if not step:
            return ""
        if "id" not in step:
            self._report.error(path, "this step has no `id`")
            return ""
        here = (*path, "id")
        name = words.name(self._report, here, step["id"], "a step id")
        if name is None:
            return ""
        if name in self._ids:
            first = self._report.source.at(self._ids[name])
            where = f"; first in line {first.line}" if first else ""
            self._report.error(here, f"step id `{name}` is used twice{where}")
        self._ids.setdefault(name, here)
        return name

    def _kind(self, path: Path, step: dict[str, Any]) -> Kind | None:
        kinds = [key for key in step if key in MODELS or key in LATER]
        for second in kinds[1:]:
            message = f"`{second}` beside `{kinds[0]}`: exactly one word says what a step is"
            self._report.error_at_key((*path, second), message)
        later = [key for key in kinds if key in LATER]
        for key in later:
            message = f"`{key}` is not part of this version: use one of {KINDS}"
            self._report.error_at_key((*path, key), message)
        if later:
            return None
        kind: Kind | None = next((each for each in MODELS if kinds[:1] == [each]), None)
        own = (word for each in kinds or OWN for word in OWN.get(each, ()))
        known = (*COMMON, *kinds, *own)
        unknown = strangers(step, known)
        for key in unknown:
            self._report.error_at_key((*path, key), self._unknown(key, kind, known))
        if kind is None and not unknown:
            self._report.error(path, f"this step says nothing to do: it needs one of {KINDS}")
        return kind

    def _unknown(self, key: str, kind: Kind | None, known: tuple[str, ...]) -> str:
        takers = " and ".join(f"`{each}`" for each in OWN if key in OWN[each])
        if kind is not None and takers:
            return f"`{key}` does not belong to `{kind}`: it goes with {takers}"
        if kind is not None:
            return f"unknown key {quoted(key)}{near(key, known)}"
        meant = nearest(key, (*MODELS, *known))
        hint = f"did you mean `{meant}`?" if meant is not None else f"a step is one of {KINDS}"
        return f"unknown step {quoted(key)}; {hint}"

    def _common(self, draft: Draft, step: dict[str, Any]) -> None:
        path = draft.path
        if "when" in step:
            condition = words.condition(self._report, (*path, "when"), step["when"])
            if condition is not None:
                draft.fields["when"] = condition.value
                draft.written.append(condition)
        if "for_each" in step:
            self._for_each(draft, step["for_each"])
        if "concurrency" in step:
            self._concurrency(draft, step["concurrency"])
        for key, kinds in (("timeout", TIMED), ("retry", RETRIED)):
            if key not in step or draft.kind is None:
                continue
            if draft.kind not in kinds:
                instead = f"there is nothing to try again in `{draft.kind}`"
                if key == "timeout":
                    instead = INSTEAD_OF_TIMEOUT[draft.kind]
                message = f"`{key}` does not belong to `{draft.kind}`: {instead}"
                self._report.error_at_key((*path, key), message)
            elif key == "timeout":
                draft.fields["timeout"] = words.length(self._report, (*path, key), step[key])
            else:
                draft.fields["retry"] = self._retry((*path, key), step[key])

    def _for_each(self, draft: Draft, value: Any) -> None:
        path = (*draft.path, "for_each")
        draft.fields["for_each"] = value
        if isinstance(value, str) and words.bare(value) is None:
            hint = "; an expression is written `${…}`"
            self._report.error(path, f"expected a list, got {kind_of(value)}{hint}")
        elif not isinstance(value, str | list):
            self._report.error(path, f"expected a list or `${{…}}`, got {kind_of(value)}")
        draft.written.append(Written(path, value, item="unseen"))

    def _concurrency(self, draft: Draft, value: Any) -> None:
        path = (*draft.path, "concurrency")
        if not draft.each:
            self._report.warn_at_key(path, "`concurrency` means nothing without `for_each`")
        draft.fields["concurrency"] = words.whole(self._report, path, value, 1, MAX_CONCURRENCY)

    def _retry(self, path: Path, value: Any) -> dict[str, Any]:
        expected = "a mapping such as {attempts: 3, backoff: 2s}"
        retry = self._report.mapping(path, value, expected)
        self._report.known_keys(path, retry, ("attempts", "backoff", "max_backoff"))
        read: dict[str, Any] = {}
        if "attempts" in retry:
            here = (*path, "attempts")
            read["attempts"] = words.whole(self._report, here, retry["attempts"], 1, 100)
        for key in ("backoff", "max_backoff"):
            if key in retry:
                read[key] = words.length(self._report, (*path, key), retry[key])
        return read

    def _on_error(self, draft: Draft, value: Any) -> None:
        path = (*draft.path, "on_error")
        if isinstance(value, dict):
            self._report.known_keys(path, value, ("steps",))
            draft.recovery = self._body((*path, "steps"), value.get("steps"), draft, "on_error")
            return
        known = ("fail", "continue")
        draft.fields["on_error"] = words.choice(self._report, path, value, known, " | {steps: […]}")

    # What a step is

    def _compute(self, draft: Draft, value: Any, step: dict[str, Any]) -> None:
        path = (*draft.path, "compute")
        draft.fields["tool"] = words.text(self._report, path, value, "the name of a tool")
        draft.fields["arguments"] = self._with(draft, step, "arguments")

    def _skill(self, draft: Draft, value: Any, step: dict[str, Any]) -> None:
        path = (*draft.path, "skill")
        draft.fields["skill"] = words.text(self._report, path, value, "the name of a skill")
        draft.fields["inputs"] = self._with(draft, step, "inputs")

    def _with(self, draft: Draft, step: dict[str, Any], what: str) -> dict[str, Any]:
        if "with" not in step:
            return {}
        path = (*draft.path, "with")
        given = self._report.mapping(path, step["with"], f"a mapping of {what}")
        draft.written.append(Written(path, given))
        return given

    def _set(self, draft: Draft, value: Any, _step: dict[str, Any]) -> None:
        path = (*draft.path, "set")
        values = self._report.mapping(path, value, "a mapping of names to values")
        if value == {}:
            self._report.error(path, "`set` names nothing to write")
        for name in values:
            words.name(self._report, (*path, name), name, "a name")
        draft.fields["values"] = values
        draft.written.append(Written(path, values))

    def _steps(self, draft: Draft, value: Any, _step: dict[str, Any]) -> None:
        draft.bodies["steps"] = self._body((*draft.path, "steps"), value, draft, "steps")

    def _parallel(self, draft: Draft, value: Any, _step: dict[str, Any]) -> None:
        path = (*draft.path, "parallel")
        branches = self._report.mapping(path, value, "a mapping of branches")
        if value == {}:
            self._report.error(path, "`parallel` has no branches")
        for name, body in branches.items():
            here = (*path, name)
            words.name(self._report, here, name, "the name of a branch")
            # The leading dot keeps a branch called on_error apart from the recovery.
            if isinstance(body, dict):
                draft.bodies[name] = [self._step(here, body, draft, f".{name}")]
            else:
                draft.bodies[name] = self._body(here, body, draft, f".{name}")

    def _wait(self, draft: Draft, value: Any, _step: dict[str, Any]) -> None:
        path = (*draft.path, "wait")
        if isinstance(value, dict):
            self._waits_for(draft, path, value)
            return
        how = "until" if words.looks_like_moment(value) else "for"
        self._waits(draft, path, value, how, f"{EXPECTED}, a time, or `${{…}}`")

    def _waits_for(self, draft: Draft, path: Path, value: dict[str, Any]) -> None:
        self._report.known_keys(path, value, ("event", "when", "for", "until"))
        if "for" in value and "until" in value:
            self._report.error(path, "expected one of `for` and `until`, not both")
        elif not value.keys() & {"event", "for", "until"}:
            self._report.error(path, "expected `for`, `until` or `event`")
        if "event" in value:
            draft.fields["event"] = words.event(self._report, (*path, "event"), value["event"])
        if "when" in value:
            self._matching(draft, (*path, "when"), value)
        for key in ("for", "until"):
            if key in value:
                self._waits(draft, (*path, key), value[key], key)

    def _matching(self, draft: Draft, path: Path, value: dict[str, Any]) -> None:
        if "event" not in value:
            message = "`when` is about an event: it goes with `event`"
            self._report.error_at_key(path, message)
            return
        condition = words.condition(self._report, path, value["when"])
        if condition is not None:
            draft.fields["matching"] = condition.value
            draft.written.append(condition)

    def _waits(
        self, draft: Draft, path: Path, value: Any, how: str, expected: str = EXPECTED
    ) -> None:
        draft.fields["until" if how == "until" else "length"] = value
        if words.is_template(value):
            draft.written.append(Written(path, value))
        elif how == "until":
            words.moment(self._report, path, value)
        else:
            words.length(self._report, path, value, expected)

    def _approve(self, draft: Draft, value: Any, _step: dict[str, Any]) -> None:
        path = (*draft.path, "approve")
        if isinstance(value, dict):
            self._report.known_keys(path, value, ("message",))
            path, value = (*path, "message"), value.get("message")
        expected = "a message for the person who decides"
        draft.fields["message"] = words.text(self._report, path, value, expected)
        draft.written.append(Written(path, value))

    def _notify(self, draft: Draft, value: Any, step: dict[str, Any]) -> None:
        path = (*draft.path, "notify")
        draft.fields["channel"] = words.choice(self._report, path, value, CHANNELS)
        message = step.get("message")
        if message in (None, ""):
            needed = "`notify` needs a `message`: what to tell, such as ${steps.report}"
            self._report.error_at_key(path, needed)
            return
        draft.fields["message"] = message
        draft.written.append(Written((*draft.path, "message"), message))

    def _ask(self, draft: Draft, value: Any, step: dict[str, Any]) -> None:
        prompts.read_question(self._report, self._texts, draft, value, step)

    _READERS: ClassVar[dict[Kind, Callable[[_Grammar, Draft, Any, dict[str, Any]], None]]] = {
        "compute": _compute,
        "skill": _skill,
        "set": _set,
        "steps": _steps,
        "parallel": _parallel,
        "wait": _wait,
        "approve": _approve,
        "notify": _notify,
        "extract": _ask,
        "classify": _ask,
        "generate": _ask,
        "reason": _ask,
    }
