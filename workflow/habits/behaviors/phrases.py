"""What English says when it checks, goes back, sets a goal or works from the target: pattern lists.

All patterns run on lower-case text (``equations.normalized``) and have bounded repetitions, so that no
text takes more than linear time. A number that a pattern captures decides whether the phrase counts:
"is not 24" is a check only if 24 is the target. Reads and writes no files.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "remark",
    "aside",
    "compare",
    "announce",
    "return",
    "switch",
    "subgoal",
    "near",
    "goal",
    "backward",
    "plan",
]

_TARGET = r"(?:(?:the|our|my) )?(?:target|goal|desired|wanted)\b"
_NUMBER = r"(?:the |our )?(?P<number>[0-9]{1,9})\b(?!\.[0-9])"
_FILLER = (
    r"(?: (?:quite|equals?|exactly|yet|to|reach(?:ed|ing)?|match|hit|give|giving|us|at|the|our|a|get"
    r"|getting|same|as))"
)
_SMALL = r"(?:one|two|three|four|five|six|seven|eight|nine|ten|[0-9]{1,4})"

# Comparisons that name the target: they count whenever the number is the target.
_COMPARE = (
    rf"(?:\bnot\b|n't\b|nt\b|≠|!=|<>){_FILLER}{{0,5}}\s?(?:{_NUMBER}|{_TARGET})",
    r"\b(?:greater|larger|bigger|higher|smaller|less|lower|more|over|above|below|under|short|past|beyond"
    rf"|exceeds?|far|away|off|overshoots|undershoots)\b(?: than| of| from| by)? (?:{_NUMBER}|{_TARGET})",
    rf"\b(?:is|are|'s|it's) (?:very |quite |pretty |so )?(?:close|near) to (?:{_NUMBER}|{_TARGET})",
    rf"(?:=|\b(?:is|equals?|reach(?:es|ed)?|hits?|match(?:es)?|meets|makes|gives? us"
    rf"|gets? us)) {{0,2}}(?:exactly )?"
    rf"{_TARGET}(?! (?:is|to)\b)",
    r"\b(?:target|goal) (?:is |was )?(?:hit|reached|met|found|achieved)\b",
    rf"\b(?:shy|short) of (?:{_NUMBER}|{_TARGET})",
    r"\b(?:exactly|precisely) (?:the )?(?P<number>[0-9]{1,9})\b(?!\.[0-9])",
    r"\b(?:that|this|it)(?:'s| is| equals) (?P<number>[0-9]{1,9}) ?!",
    r"[0-9],? (?:which is )?(?:the|our) (?:target|goal)\b(?! (?:is|of)\b)",
)
# Remarks on a result; they count when there is a result to remark on.
_REMARK = (
    r"\b(?:too|way) (?:too )?(?:high|low|big|small|large|much|little|far|few|many)\b",
    r"\b(?:overshoots?|overshot|undershoots?|falls? short|not enough|off by|way off)\b",
    rf"\b{_SMALL} (?:short|off|away|over|under|too (?:high|low|many|few)|(?:more|less|higher"
    rf"|lower)(?! (?:number|step)))\b",
    r"\b(?:does|did|do|will|would|ca|wo)(?:n't| not) (?:work|help|do it|fit|get us there)\b",
    r"(?:\bnot|n't) (?:it|right|correct|good|there yet|what (?:we|i) (?:want|need|wanted|needed"
    r"|are looking for))\b",
    r"\b(?:wrong|incorrect|no good|no luck|dead[- ]end|fails|failed)\b",
    r"\b(?:this|that|it|which) (?:works|worked|is (?:it|right|correct))\b(?! out)",
    r"\bworks!|\((?:this )?works\b",
    r"\b(?:correct|perfect|bingo|success|eureka|verified)\b",
    r"\b(?:that's it|found it|found (?:the|a) (?:solution|answer)|did it|got it|made it|we have it)\b",
    r"\b(?:exactly|precisely) (?:what|right|the)\b",
    r"\bas (?:required|desired|needed|asked|wanted|requested)\b|\basked for\b",
    r"\b(?:far|well|just|also|still) (?:above|below|under|over)\b|\bnot (?:quite|possible)\b|\balmost\b",
    r"\b(?:that|this) is the (?:one|solution)\b|\bthat's the (?:one|solution)\b",
    r"\b(?:that|this|it|which|equation|expression) (?:solves (?:it|this)|holds|checks out|matches)\b",
    r"\b(?:we're|we are|i'm|i am|all) done\b|\b(?:desired|required|wanted) (?:number|result|value)\b",
    r"[✓✔✗✘✅❌]",
    r"(?:^|[.!?;:,(\n…]|\bhmm|\bstill) ?(?:still |hmm,? |ah,? )?(?:no|nope|yes|yep|good|great|nice"
    r"|done|close)(?= ?(?:[.!?;)\n]|$))",
    r"(?:^|[.!?;:\n]) ?(?:nope|yes|great|yep),",
)
_ANNOUNCE = (
    r"\b(?:let me|let's|let us|i'll|i will|to|we can|we should) (?:just |quickly |now )?(?:double[- ]?|re-?)?"
    r"(?:check|verify|confirm)\b(?! out)",
    r"(?:^|[.!?\n]) ?(?:double[- ]?)?(?:check|checking|verification|verify) ?:",
    r"\bdouble[- ]check(?:ing)?\b",
    r"\bdoes (?:this|that|it) (?:equal|work|give|match|make|reach)\b|\bis (?:this|that|it) (?:equal"
    r"|right|correct|the target)\b",
)
_RETURN = (
    r"(?<!need to )\b(?:try|do|consider|use) (?:something|anything) (?:else|different)",
    r"\b(?:try|trying) (?:it )?(?:again|another|a different|differently|a new|other)\b",
    r"\bstart(?:ing)? (?:over|again|afresh|anew|fresh|from scratch)\b|\bfrom scratch\b|\brestart(?:ing)?\b",
    r"\b(?:go|going|went|step|stepping|head|move|moving|turn) back(?! and forth)\b(?!wards?)",
    r"\bback to (?:the )?(?:start|beginning|original|initial|given|drawing board|square one|[0-9])",
    r"\breturn(?:ing)? to (?:the )?(?:start|beginning|original|initial|given|[0-9])",
    r"\b(?:backtrack(?:ing)?|revert(?:ing)?|undo(?:ing)?|scrap|scrapping|discard|abandon|rewind)\b",
    r"\b(?:a |some )?(?:different|other|new) (?:approach|way|idea|combination|order|path|route"
    r"|strategy|pair|attempt)\b",
    r"\banother (?:approach|way|try|attempt|idea|combination|option|possibility|route|path)\b",
    r"\breplac(?:e|ing) the last\b",
)
_SWITCH = (
    r"\b(?:instead|alternatively|otherwise)\b",
    r"\b(?:what|how) about\b|\bwhat if\b",
)
# A remark of a few words after a complete attempt judges it, whatever the words are ("Nah.", "Boom!").
_ASIDE = (
    r"(?<=[.!?\n>]) ?(?!(?:so|then|now|next|let|and|but|or|first|second|third|answer|the|if|what|how|which"
    r"|instead|alternatively|try|trying|start|starting|go|going|back|again|return|returning|undo|restart"
    r"|another|one|we|i|step|finally|here)\b)"
    r"[a-z][a-z']{0,12}(?: [a-z][a-z']{0,12}){0,2}(?= ?(?:[.!?\n]|$))",
)
_AIM = (
    r"\b(?:let's|let us|could|can|should|want|wants|like|aim|aiming|first|help|helps|if we|if i|would|will"
    r"|i'll|plan|idea|try|trying|way|split)\b[^.!?;\n0-9]{0,40}?"
)
_SUBGOAL = (
    rf"{_AIM}\b(?:get|make|reach|create|form|build|produce|obtain|land|find|aim for|look for|arrive at)\b"
    rf"(?: to| at| on| on to| a| an| the| number| value| of| from| first"
    rf"| exactly){{0,4}} {_NUMBER}(?! ?[-+*/] ?[0-9])",
    rf"(?:^|[.!?:\n]) ?(?:get|make|create|reach|form|build) {_NUMBER}(?! ?[-+*/=] ?[0-9])",
    r"\b(?:aim|aiming|look|looking|shoot) for (?P<number>[0-9]{1,9})\b",
    r"\b(?:goal|milestone|subgoal|sub-goal|intermediate (?:goal|step|target|value|result)|stepping stone)\b"
    rf"[^.!?;\n0-9]{{0,25}}\b{_NUMBER}",
)
_NEAR = (
    rf"{_AIM}\b(?:near|close to|around|close) {_NUMBER}",
    rf"\bget(?:ting)? (?:near|close to|around) {_NUMBER}",
)
_GOAL = (
    r"\b(?:sub-?goals?|milestones?|intermediate (?:goal|target)s?|stepping stones?)\b",
    r"\b(?:factors?|multiples?|divisors?) (?:of |is |are |like )?[0-9]",
    r"\b(?:break|breaking|split|splitting|divide) (?:it|this|that|the (?:problem|task"
    r"|target)) (?:down|up|into)\b",
    rf"{_AIM}\b(?:close to|near) (?:the )?target",
)
_BACKWARD = (
    r"\bwork(?:s|ing|ed)? (?:\w{1,12} ){0,2}?back(?:wards?)?\b(?: from)?",
    r"\bbackwards?\b(?: from)?|\bin reverse\b|\brevers(?:e|ing) (?:from|engineer)",
    r"\b(?:last|final) (?:step|operation|move) (?:could|would|might|must|should|can|has to|may"
    r"|is to|adds|subtracts|multiplies|divides)\b",
    r"\bwhat (?:comes|came|must come|goes) (?:right |just )?before\b",
    r"\bstart(?:ing)? (?:from|at|with) (?:the|our) (?:target|goal)\b",
)
# From the target itself; they count when the target is named and has not been made.
_PLAN = (
    r"\bto (?:get|reach|make|obtain|hit|have|end (?:at|up at|with)"
    r"|arrive at) (?:the target of )?(?P<number>[0-9]{1,9})\b"
    r"[^.!?\n]{0,30}?\b(?:use|need|take|combine|want|could be|multiply|add|subtract"
    r"|divide)\b[^.!?\n0-9]{0,30}[0-9]",
    r"\b(?P<number>[0-9]{1,9}) (?:is|equals) (?:just |simply |also )?"
    r"(?:half|twice|double|the (?:product|sum|difference|quotient) of|[0-9]{1,9} (?:squared|doubled"
    r"|halved)|(?:one|two|three|[0-9]{1,3}) (?:more|less) than)\b",
)
_LISTS: tuple[tuple[Kind, tuple[str, ...]], ...] = (
    ("compare", _COMPARE),
    ("remark", _REMARK),
    ("aside", _ASIDE),
    ("announce", _ANNOUNCE),
    ("return", _RETURN),
    ("switch", _SWITCH),
    ("subgoal", _SUBGOAL),
    ("near", _NEAR),
    ("goal", _GOAL),
    ("backward", _BACKWARD),
    ("plan", _PLAN),
)
_PATTERNS: tuple[tuple[Kind, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern)) for kind, patterns in _LISTS for pattern in patterns
)


@dataclass(frozen=True, slots=True)
class Phrase:
    """A phrase of some kind; ``number`` is what it names, None when it names none."""

    start: int
    end: int
    kind: Kind
    number: int | None = None


def phrases(text: str) -> Iterator[Phrase]:
    """All phrases in normalized text, unsorted; phrases of different kinds may overlap."""
    for kind, pattern in _PATTERNS:
        for match in pattern.finditer(text):
            number = match.groupdict().get("number")
            yield Phrase(*match.span(), kind, int(number) if number else None)
