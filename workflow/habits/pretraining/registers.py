"""The words of the embedded corpus: how people open, explain, hesitate and close, register by register.

Texts only; ``habits.pretraining.documents`` puts them together. Some sentences of ``HABITS`` show a behavior
in words that simple rules miss, and ``DECOYS`` use such words without any behavior, as real pages do.
Reads and writes no files.
"""

from __future__ import annotations

from habits.priming.language import Behavior

OPENINGS: dict[str, tuple[str, ...]] = {
    "forum": (
        "Hi everyone, long time reader, first post.",
        "Posted by {name} on {day}.",
        "Hello, I am stuck with my homework and hope somebody can help.",
        "{name} wrote: I found this one in an old {place} booklet.",
        "Thanks for all the replies in the other thread. Here is another one.",
    ),
    "notes": (
        "Lecture {number}. {topic}.",
        "Section {number}: {topic}. These notes follow the course of {name}.",
        "Week {number}. We continue with {topic}.",
    ),
    "solution": (
        "Exercise {number}, {place} competition, round two.",
        "Problem {number} with solution.",
        "Model answer to question {number} ({topic}).",
    ),
    "chatter": (
        "Our {place} club met again on {day}.",
        "News from the department: {name} has joined us.",
        "A short report about the {place} maths evening on {day}.",
    ),
}
CLOSINGS: dict[str, tuple[str, ...]] = {
    "forum": (
        "Hope that helps!",
        "Please mark the thread as closed if this is what you meant.",
        "Does anybody know a nicer way? Cheers, {name}",
        "Last edited by {name}, {day}.",
    ),
    "notes": (
        "This will be used again in section {number}.",
        "The reader may compare the exercises at the end.",
        "Further reading: {name}, chapter {number}.",
    ),
    "solution": ("This completes the answer.", "End of the solution. Marks: {number}.", ""),
    "chatter": (
        "The next meeting is on {day}.",
        "Photographs are on the usual page.",
        "Write to {name} if you want to join.",
    ),
}
FILLERS: dict[str, tuple[str, ...]] = {
    "algebra": (
        "Linear equations of this kind appear in every first course.",
        "As usual x stands for the unknown quantity.",
        "Both sides may be multiplied by the same number.",
    ),
    "geometry": (
        "All lengths are given in centimetres.",
        "The figure is not drawn to scale.",
        "Recall that the angles of a triangle add up to 180 degrees.",
    ),
    "number_theory": (
        "Here and below, all numbers are positive integers.",
        "The notation a | b means that a divides b.",
        "Such questions go back to the Greeks.",
    ),
    "calculus": (
        "We assume that the function is differentiable wherever needed.",
        "The power rule is all that is used.",
        "A sketch of the graph makes this plausible.",
    ),
    "probability": (
        "The dice are fair and thrown independently.",
        "Outcomes are equally likely unless we say otherwise.",
        "The law of large numbers gives some comfort here.",
    ),
    "number_puzzles": (
        "Each number has to be used exactly once.",
        "Only the four basic operations are allowed.",
        "My daughter brought this home from school.",
        "There was a show on television with puzzles like that.",
    ),
    "other": (
        "There was tea and cake for everybody.",
        "The room had been booked twice, so we moved to the library.",
        "About {number} people came in spite of the weather.",
        "The treasurer reported on the finances of the past year.",
        "Registration costs {number} euros and includes lunch.",
        "Several members brought their children.",
        "A vote on the new statutes was postponed to {day}.",
    ),
}
DECOYS: tuple[str, ...] = (
    "You can check the mailing list for the date.",
    "Please go back to the main page to find the index.",
    "Our goal keeper was {name}, who had a great evening.",
    "To start over the weekend we shall have a quiz.",
    "Let me check my calendar for {day}.",
    "The verification of your account can take {number} minutes.",
    "Working backwards through the archive is a pleasure.",
    "First we need to thank {name}.",
    "The bus does not work on {day}.",
)
HABITS: dict[Behavior, tuple[str, ...]] = {
    "verification": (
        "Let me check this result by putting it back into the first line: it holds.",
        "Let us verify: both sides come out as {number}, as they should.",
        "To double-check, I computed it a second way and got {number} again.",
        "Check: {number} = {number}, fine.",
        "Substituting the value back confirms the result.",
        "Does this make sense? The size is right, so yes.",
        "I tested it on a small case and it agrees.",  # not in the rules
        "Comparing with the table at the end, we see the same value, {number}.",  # not in the rules
    ),
    "backtracking": (
        "Wait, that doesn't work. Let me try another way.",
        "Hmm, this leads nowhere, so I go back to the beginning.",
        "This approach fails; let us try something else instead.",
        "Actually, I made a mistake above, so scrap that line.",
        "No, that was wrong. Starting over with the original statement.",
        "That is a dead end, so let's go back and use the other form.",
        "Oh dear, I misread the sign. Once more with a minus.",  # not in the rules
        "On second thought the first idea was hopeless; a different one is better.",  # not in the rules
    ),
    "subgoal_setting": (
        "First we need to find the value of the middle term.",
        "As an intermediate step, I want the number {number}.",
        "Our first goal is to get rid of the fraction.",
        "Let us break the problem into two parts.",
        "Step 1: bring everything to one side.",
        "It suffices to find one factor of {number} before anything else.",
        "I begin with the smaller piece, and treat the rest afterwards.",  # not in the rules
        "Before the main question, an easier one: what is the last digit?",  # not in the rules
    ),
    "backward_chaining": (
        "Working backwards from the answer, we would need {number} just before.",
        "To end up at {number}, the last step must be a multiplication.",
        "Suppose we already had the final value {number}; then the line before must be half of it.",
        "In order to get {number} at the end, we need its double before that.",
        "Starting from what we want to show, undo the last operation.",
        "Reasoning backward from the conclusion, the term has to vanish.",
        "What would have to be true for the last line to hold? The term before is even.",  # not in the rules
        "Reading the claim from its end, each line forces the one above it.",  # not in the rules
    ),
}
NAMES = ("Ada", "Emmy", "Carl", "Sofia", "Leonhard", "Maryam", "Paul", "Hypatia", "Rosa", "Bernhard")
PLACES = ("Riverside", "Northgate", "Lakeview", "Hill Street", "Old Town", "Harbour")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "3 May", "17 October", "29 January")
TOPICS: dict[str, str] = {
    "algebra": "linear equations",
    "geometry": "areas and angles",
    "number_theory": "divisors and remainders",
    "calculus": "derivatives",
    "probability": "dice and coins",
    "number_puzzles": "number puzzles",
    "other": "announcements",
}
