"""Social IQa's prompts: the gold answer earns the full reward; chat formats are the tokenizers' own."""

from __future__ import annotations

import re

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from habits.models.social_iqa_corpus import WORDS
from habits.social_params import SOCIAL_REWARDS, SocialIqa
from habits.tasks.social_iqa import TEMPLATES, Problem, PromptTemplate, grade
from habits.tasks.social_iqa.stories import sample

# The turns of ChatML (Qwen) and of Llama 3 as chat templates; real tokenizers carry their own.
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
LLAMA = (
    "{{ bos_token }}"
    "{% if date_string is not defined %}{% set date_string = strftime_now('%d %b %Y') %}{% endif %}"
    "{% for m in messages %}<|start_header_id|>{{ m.role }}<|end_header_id|>\n\n"
    "{% if m.role == 'system' %}Today Date: {{ date_string }}\n\n{% endif %}"
    "{{ m.content }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}"
)
PLAIN = Problem("x", 'Kai said "no".', "How would Lee feel?", ("a {bit} sad", "(B) glad", "let down"), 1)


def tokenizer(chat_template: str | None) -> PreTrainedTokenizerFast:
    made = Tokenizer(models.WordLevel({"<bos>": 0, "<unk>": 1}, unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=made, bos_token="<bos>", unk_token="<unk>", chat_template=chat_template
    )


@pytest.fixture(scope="module")
def problems() -> list[Problem]:
    """Some stories of every kind and level, and one with characters that templates trip over."""
    settings = SocialIqa.model_validate(
        {
            "source": "stories",
            "train": 150,
            "validation": 5,
            "test": 5,
            "levels": {"easy": 0.3, "medium": 0.3, "hard": 0.4},
            "reward": "code",
            "rl": {},
            "seed": 3,
        }
    )
    return [PLAIN, *(story.problem for story in sample(settings)["train"])]


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
@pytest.mark.parametrize("weights", SOCIAL_REWARDS.values(), ids=SOCIAL_REWARDS)
def test_gold_answer_earns_the_full_reward(
    template: PromptTemplate, weights, problems: list[Problem]
) -> None:
    for problem in problems:
        verdict = grade(template.gold_response(problem), problem, reward=weights)
        assert (verdict.reason, verdict.score) == ("correct", weights.format + weights.correct)


@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_gold_answer_of_another_option_earns_less(template: PromptTemplate, problems: list[Problem]) -> None:
    for problem in problems:
        other = Problem(
            problem.key, problem.context, problem.question, problem.options, (problem.answer + 1) % 3
        )
        assert grade(template.gold_response(other), problem).reason == "wrong_option"


@pytest.mark.parametrize("chat_template", [CHATML, LLAMA], ids=["qwen", "llama"])
@pytest.mark.parametrize("template", TEMPLATES.values(), ids=TEMPLATES)
def test_prompt_shows_the_problem_and_opens_the_thought(template: PromptTemplate, chat_template: str) -> None:
    prompt = template.render(PLAIN, tokenizer(chat_template)).replace("_", " ")
    assert prompt.endswith("<think>")
    order = [prompt.index(part) for part in ("Kai said", "How would Lee feel", "a {bit} sad", "let down")]
    assert order == sorted(order)


def test_chat_prompts_are_made_by_the_tokenizers_own_template() -> None:
    qwen = TEMPLATES["chat"].render(PLAIN, tokenizer(CHATML))
    assert qwen.startswith("<|im_start|>system\n") and qwen.endswith(
        "<|im_end|>\n<|im_start|>assistant\n<think>"
    )
    assert qwen.count("<|im_end|>") == 2 and "\n<|im_end|>" not in qwen
    llama = TEMPLATES["chat"].render(PLAIN, tokenizer(LLAMA))
    assert llama.count("<|eot_id|>") == 2 and llama.endswith("<|end_header_id|>\n\n<think>")


def test_chat_prompts_are_the_same_on_every_day() -> None:
    assert "Today Date: 26 Jul 2024" in TEMPLATES["chat"].render(PLAIN, tokenizer(LLAMA))


def test_a_chat_prompt_needs_a_tokenizer_with_a_chat_template() -> None:
    for without in (None, tokenizer(None)):
        with pytest.raises(ValueError, match="'chat' needs a tokenizer with a chat template"):
            TEMPLATES["chat"].render(PLAIN, without)


@pytest.mark.parametrize("name", ["base", "chat"])
def test_prompts_ask_for_all_that_the_reward_demands_and_hold_no_answer_that_it_would_pay(name: str) -> None:
    prompt = TEMPLATES[name].render(PLAIN, tokenizer(CHATML))
    for part in ("<think> </think>", "<answer> (X) </answer>", "A, B or C", "in parentheses"):
        assert part in prompt
    shown = re.findall(r"<answer>.*?</answer>", prompt)
    assert [grade(f"x </think> {answer}", PLAIN).reason for answer in shown if "(" in answer] == [
        "unparsable"
    ]


def test_short_prompt_and_gold_are_words_of_the_tiny_models(problems: list[Problem]) -> None:
    template = TEMPLATES["short"]
    for problem in problems[1:]:
        for text in (template.render(problem), template.gold_response(problem).strip()):
            assert set(text.split(" ")) <= set(WORDS)
            assert problem.options[problem.answer].replace(" ", "_") in text
