"""Signs of risk in what was said: by words, and by what stands around them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

TURN = re.compile(
    r"^\s*(?:[\[(][^\])\n]{1,20}[\])]\s*)?(?P<who>[^\n:.!?]{1,80}):\s+(?P<what>\S.*)$"
)
# A point within a word or a number ends no sentence.
SENTENCE = re.compile(r"\S(?:[^.!?…\n]|[.!?…](?=[^\s\"'”)]))*[.!?…]*")


@dataclass(frozen=True)
class Words:
    """A sentence says it with one of `phrases`, or with a word each of `what` and `how`.

    Words are beginnings: `freez` also finds freezing.
    """

    kind: str
    severity: str
    phrases: str
    what: str = ""
    how: str = ""

    def pattern(self) -> re.Pattern[str]:
        alternatives = [rf"\b(?:{_alternatives(self.phrases)})"]
        if self.what:
            what, how = rf"\b(?:{_alternatives(self.what)})", rf"\b(?:{_alternatives(self.how)})"
            between = r"(?:(?!\b(?:not|never)\b|n['’]t\b)[^;])"
            alternatives += [rf"{what}{between}{{0,60}}{how}", rf"{how}{between}{{0,40}}{what}"]
        return re.compile("|".join(alternatives), re.IGNORECASE)


def _alternatives(words: str) -> str:
    return "|".join(re.escape(each.strip()).replace(r"\ ", r"\s+") for each in words.split(","))


WORDS = (
    Words(
        "champion_leaves",
        "high",
        "leaving the company, leaving us, i am leaving, i'm leaving, is leaving, moving on to,"
        " my last day, his last day, her last day, last day here, in notice, in my notice,"
        " gave notice,"
        " resigned, no longer with the company, new job, stepping down, moves to another,"
        " moving to another, leave the company, hand over to",
    ),
    Words(
        "budget",
        "high",
        "no budget, without a budget, spending freeze, budget freeze, can't afford, cannot afford",
        "budget, spend, funding, purchas, investment",
        "freez, froze, cut, slashed, on hold, paused, stopped, pulled, withdrawn, not approved,"
        " suspended, blocked, taken away, taken back, gone",
    ),
    Words(
        "review_blocked",
        "high",
        "red flag, marked us red, failed the review, failed our review, told us not to sign",
        "security, infosec, legal, privacy, compliance, data protection, procurement, auditor,"
        " works council",
        "block, stuck, fail, stopp, refus, reject, will not sign, won't sign, cannot sign,"
        " can't sign, will not approve, won't approve, cannot approve, can't approve, on hold,"
        " halted, stalled, objected, not let us, won't let us, said no",
    ),
    Words(
        "competitor",
        "medium",
        "another vendor, another supplier, another provider, other vendors, other suppliers,"
        " competing offer, competing product, came in cheaper, second offer, cheaper offer,"
        " their offer, their demo, for an offer, something similar, something very similar,"
        " down to two, down to three, prefers them, prefer them, leans towards them,"
        " leaning towards",
        "competitor, alternative, rival, other offer, another offer, short list, shortlist",
        "talk, evaluat, look, compar, test, trial, pilot, demo, offer, quote, prefer, cheaper",
    ),
    Words(
        "price",
        "medium",
        "too expensive, too high, too much for, out of reach, more than we can, far from what we,"
        " twice what we pay, hard to justify, price is a problem",
        "price, quote, offer, cost, number",
        "shock, above what, over what, higher than, far above, far over, said no",
    ),
    Words(
        "no_decision_maker",
        "medium",
        "not convinced, not on board, not bought in, isn't convinced, isn't on board, unconvinced,"
        " sceptical, skeptical, has not seen any of this, does not see why, doesn't see why",
    ),
    Words(
        "dissatisfied",
        "medium",
        "frustrat, disappoint, unhappy, fed up, let us down, not happy, dissatisfied, outage,"
        " keeps breaking, keeps crashing, keeps failing, it does not work, it doesn't work,"
        " lost confidence, lost trust, nobody uses it, thinking about leaving you",
    ),
    Words(
        "timing",
        "medium",
        "on ice, no longer a priority, not a priority, lower priority, deprioriti, back burner,"
        " other priorities, comes first now, so this waits, this has to wait, only next quarter,"
        " only next year, not this quarter, not this year, will not make q, won't make q,"
        " nobody starts anything, reorgani",
        "project, rollout, roll-out, start, launch, decision, signature, contract",
        "moved to, pushed, postpon, delay, on hold, shelved, parked, put off, cancelled, slipp",
    ),
)
PATTERNS = tuple((words.kind, words.severity, words.pattern()) for words in WORDS)

# A sign that is denied, over, somebody else's or imagined is none.
DENIED = re.compile(
    r"\b(?:no|not|never|nobody|none|hardly|neither|without|rather than|instead of|\w+n['’]t)\b"
    r"(?:\W+[\w'’]+){0,4}\W*$",
    re.IGNORECASE,
)
OVER = re.compile(
    r"\b(?:lifted|resolved|solved|sorted out|cleared|unblocked|unfrozen|back on track|behind us"
    r"|(?:is|was) over|fixed|signed off|passed|released|restored|renewed"
    r"|(?:is|was|are|were|got) approved"
    r"|no longer (?:frozen|blocked|on hold|stuck|an? (?:issue|problem))|decided against"
    r"|ruled (?:them|it|her|him) out|dropped (?:them|it) |not an? (?:issue|problem|concern))\b",
    re.IGNORECASE,
)
ELSEWHERE = re.compile(
    r"\b(?:my|our|his|her) (?:last|previous|former|old) (?:company|job|employer|team|place)\b"
    r"|\b(?:last year|years ago|a year ago|back in 20\d\d|back then|used to|a friend|in the news)\b"
    r"|\b(?:other|another) (?:customers?|clients?)\b|\bat (?:other|another) compan(?:y|ies)\b",
    re.IGNORECASE,
)
IMAGINED = re.compile(
    r"^(?:if|unless|suppose|imagine|in case|what if|even if)\b|\b(?:just in case|joking|kidding)\b"
    r"|\b(?:would|could|might) (?:be|have|get|only|mean)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Sign:
    kind: str
    severity: str
    quote: str
    speaker: str | None


def signs(said: str) -> list[Sign]:
    """The first of each kind, word by word as it was said."""
    found: dict[str, Sign] = {}
    for speaker, sentence in _sentences(said):
        judged = _judged(sentence)
        if judged is not None:
            kind, severity = judged
            found.setdefault(kind, Sign(kind, severity, sentence, speaker))
    return list(found.values())


def _sentences(said: str) -> Iterator[tuple[str | None, str]]:
    for line in said.splitlines():
        turn = TURN.match(line)
        speaker, what = (turn["who"].strip(), turn["what"]) if turn else (None, line)
        for sentence in SENTENCE.finditer(what):
            yield speaker, sentence[0].strip()


def _judged(sentence: str) -> tuple[str, str] | None:
    if sentence.endswith("?") or any(no.search(sentence) for no in (OVER, ELSEWHERE, IMAGINED)):
        return None
    for kind, severity, pattern in PATTERNS:
        match = pattern.search(sentence)
        if match and not DENIED.search(sentence[: match.start()]):
            return kind, severity
    return None
