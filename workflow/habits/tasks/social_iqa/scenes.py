"""What the embedded social stories are about: names, jobs, visits, events, and what follows from each.

All of it is this project's own. A *fact* is something said of one person from which one option follows:
who was asked to bake a cake needs an oven. No content word of a fact stands in its option, so words in
common do not give the answer away. Reads and writes no files.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Kind = Literal["why", "feel", "next", "before", "need"]
KINDS: tuple[Kind, ...] = ("why", "feel", "next", "before", "need")

NAMES = ("Alex", "Kai", "Noor", "Sasha")  # few, as every sentence about each is a word of the tiny models


@dataclass(frozen=True)
class Job:
    """Something a person can do: what must come first, what it takes, what one wants afterwards."""

    task: str
    before: str
    need: str
    next: str


@dataclass(frozen=True)
class Visit:
    """Whom a person goes to see, and what for."""

    whom: str
    why: str


JOBS = {
    "cake": Job("bake a cake", "buy some flour", "an oven", "eat a slice"),
    "fence": Job("paint the fence", "stir the colors", "a brush", "wash off the stains"),
    "tree": Job("plant a tree", "dig a hole", "a spade", "water the roots"),
    "letter": Job("write a letter", "find the address", "a pen", "go to the post office"),
    "bike": Job("fix the bike", "look for the fault", "a wrench", "ride around the block"),
    "car": Job("wash the car", "fill a bucket", "a sponge", "let it dry"),
    "soup": Job("cook the soup", "chop the onions", "a pot", "lay the table"),
    "shelf": Job("build a shelf", "measure the wall", "a hammer", "put up the books"),
    "present": Job("wrap the present", "choose a toy", "some ribbon", "hand it over"),
    "photo": Job("take a photo", "charge the battery", "a camera", "hang up the print"),
    "costume": Job("sew a costume", "pick the fabric", "a needle", "try it on"),
    "dog": Job("walk the dog", "put on boots", "a leash", "have a rest"),
    "speech": Job("give a speech", "rehearse alone", "a microphone", "listen to the applause"),
    "fish": Job("catch a fish", "collect worms", "a hook", "grill it for dinner"),
    "fire": Job("light a fire", "gather dry wood", "a match", "warm both hands"),
    "tent": Job("pitch the tent", "look for flat ground", "some pegs", "unroll the blankets"),
}
VISITS = {
    "lonely": Visit("a friend who felt lonely", "to keep somebody company"),
    "ill": Visit("a cousin who was ill", "to care for somebody"),
    "helped": Visit("a teacher who had helped a lot", "to say thanks"),
    "angry": Visit("a neighbor who was still angry", "to make peace"),
    "birthday": Visit("a teammate who had a birthday", "to celebrate"),
    "failed": Visit("a classmate who had failed a test", "to cheer somebody up"),
    "lost": Visit("a tourist who had lost the way", "to show the right street"),
    "famous": Visit("a singer who was famous", "to get an autograph"),
    "debt": Visit("a roommate who owed money", "to be paid back"),
    "secret": Visit("a colleague who knew a secret", "to find out the truth"),
    "moving": Visit("an aunt who was moving", "to carry boxes"),
    "coach": Visit("a coach who chose the team", "to ask for a place"),
    "shop": Visit("a farmer who sold eggs", "to buy breakfast"),
    "doctor": Visit("a doctor who gave advice", "to get rid of a cough"),
}
EVENTS = ("picnic", "game", "concert", "exam", "trip", "party", "race", "debate", "parade", "wedding")
STANCES = {
    "hoped": ("hoped for the {event}", "looked forward to the {event}"),
    "feared": ("dreaded the {event}", "wanted to skip the {event}"),
}
OUTCOMES = {
    "on": ("The {event} took place", "The {event} went ahead"),
    "off": ("The {event} was called off", "The {event} was canceled"),
}
FELT = {
    ("hoped", "on"): "happy",
    ("hoped", "off"): "disappointed",
    ("feared", "on"): "uneasy",
    ("feared", "off"): "relieved",
}
FEELINGS = {
    "happy": ("happy", "delighted"),
    "disappointed": ("disappointed", "let down"),
    "uneasy": ("uneasy", "under pressure"),
    "relieved": ("relieved", "freed of a worry"),
}
# Feelings that no stance leads to: options of scenes with fewer than three people.
OTHER_FEELINGS = ("jealous", "ashamed", "sleepy", "homesick", "bored", "guilty")
PLANS = ("was asked to", "had to")
SWAPS = {"job": "swapped jobs", "visit": "swapped visits"}
QUESTIONS: dict[Kind, tuple[str, str]] = {
    "why": ("Why did {name} do this?", "Why did {name} go there?"),
    "feel": ("How would {name} feel afterwards?", "How does {name} feel now?"),
    "next": ("What will {name} want to do next?", "What will {name} do after this?"),
    "before": ("What does {name} need to do before this?", "What must {name} do first?"),
    "need": ("What does {name} need for this?", "What must {name} have for this?"),
}
