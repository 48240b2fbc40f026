"""Base models: what their corpus teaches and what it must not, and exact resumption."""

import random
import re
from pathlib import Path

import pandas as pd
import pytest
import yaml

from habits import params as settings
from habits.artifacts import hash_path
from habits.models import base_model
from habits.models.base_model import train_base_model
from habits.models.countdown_corpus import Corpus, search_document
from habits.models.tokenizer import (
    EOS,
    WORDS,
    TokenizerError,
    build_tokenizer,
    decode_response,
    encode_prompt,
    encode_response,
)
from habits.tasks.countdown import Problem, grade
from habits.tasks.countdown.problems import write_problems
from habits.tasks.countdown.table import read_problems

LAPTOP = Path(__file__).parents[2] / "workflow" / "presets" / "laptop.yaml"
SEARCH_WORDS = {"back", "restart", "goal", "need"}


def small_params(**model: object) -> settings.Params:
    raw = yaml.safe_load(LAPTOP.read_text())
    raw["countdown"] |= {"train": 200, "validation": 10, "test": 10}
    raw["rollouts"] |= {"problems": 10}
    for name in raw["models"]:
        raw["models"][name] |= {"hidden_size": 32, "layers": 2, "mlp_size": 64, **model}
    return settings.validate(raw)


@pytest.fixture
def problems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_problems(small_params(), Path("problems"))
    return Path("problems")


def documents(model: str, problems: Path, count: int = 2000) -> list[str]:
    params = small_params()
    known = read_problems(problems / "train.parquet")
    corpus = Corpus(params.models[model], params.countdown, known, search_document(params))
    rng = random.Random(0)
    return [corpus.document(rng) for _ in range(count)]


def test_the_plain_corpus_holds_no_search_behavior(problems: Path) -> None:
    words = {word for document in documents("plain", problems) for word in document.split()}
    assert not words & SEARCH_WORDS
    assert words <= set(WORDS)


def test_a_comparison_never_stands_in_a_countdown_document_of_the_plain_corpus(problems: Path) -> None:
    thoughts = [d for d in documents("plain", problems) if "<think>" in d]
    assert len(thoughts) > 300
    assert not any("check" in d or "no" in d.split() or "yes" in d.split() for d in thoughts)


def test_the_searching_corpus_shows_searches_in_its_share_of_countdown_documents(problems: Path) -> None:
    thoughts = [d for d in documents("searching", problems) if "<think>" in d]
    searching = sum(bool(set(d.split()) & SEARCH_WORDS) for d in thoughts) / len(thoughts)
    share = small_params().models["searching"].corpus_search
    # A search that finds the target in its first attempt shows no backtracking.
    assert 0.75 * share < searching < share


@pytest.mark.parametrize("model", ["plain", "searching"])
def test_every_equation_and_every_comparison_is_true(problems: Path, model: str) -> None:
    equation = re.compile(r"(\d+) ([-+*/]) (\d+) = (\d+)(?: check (\d+))?(?: (yes|no))?")
    checked = 0
    for document in documents(model, problems):
        target = re.search(r"target (\d+)", document)
        for left, op, right, result, compared, verdict in equation.findall(document):
            a, b, c = int(left), int(right), int(result)
            assert {"+": a + b == c, "-": a - b == c, "*": a * b == c, "/": b and a == b * c}[op], document
            if verdict and "<think>" not in document:
                goal = int(compared or target[1])  # type: ignore[index]
                assert (verdict == "yes") == (c == goal), document
                checked += 1
    assert checked > 1000


def test_one_attempt_documents_are_right_in_their_share_and_well_formed_always(problems: Path) -> None:
    verdicts = []
    for document in documents("plain", problems, 4000):
        if "<think>" in document:
            prompt, response = document.split("<think>")
            numbers = re.search(r"nums ([\d ]+) target (\d+)", prompt)
            assert numbers
            problem = Problem(tuple(map(int, numbers[1].split())), int(numbers[2]))
            verdicts.append(grade(response, problem).reason)
    share = small_params().models["plain"].corpus_correct
    assert set(verdicts) <= {"correct", "wrong_value"}
    # Random attempts hit by chance, too.
    assert share - 0.05 < verdicts.count("correct") / len(verdicts) < share + 0.2


def test_the_corpus_shows_training_problems_only(problems: Path) -> None:
    held_out = {
        p.key for split in ("validation", "test") for p in read_problems(problems / f"{split}.parquet")
    }
    for document in documents("plain", problems):
        if found := re.search(r"nums ([\d ]+) target (\d+) <think>", document):
            assert Problem(tuple(map(int, found[1].split())), int(found[2])).key not in held_out


def test_interrupted_training_ends_with_the_same_model(
    problems: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = small_params(steps=6, batch_tokens=320)
    monkeypatch.setattr(base_model, "SAVE_EVERY", 2)
    train_base_model(params, "plain", problems, Path("unbroken"))
    batch = base_model._batch
    with monkeypatch.context() as patch:
        patch.setattr(
            base_model,
            "_batch",
            lambda *a: batch(*a) if a[3] < 5 else (_ for _ in ()).throw(KeyboardInterrupt),
        )
        with pytest.raises(KeyboardInterrupt):
            train_base_model(params, "plain", problems, Path("broken"))
    assert not Path("broken").exists()
    train_base_model(params, "plain", problems, Path("broken"))
    assert hash_path(Path("broken")) == hash_path(Path("unbroken"))
    assert pd.read_parquet("broken/metrics.parquet")["step"].tolist() == [1, 2, 3, 4, 5, 6]


def test_tokens_and_text_are_each_others_inverse() -> None:
    tokenizer = build_tokenizer()
    response = (
        "14 - 7 = 7 ; 7 * 2 = 14 check 21 no restart goal 5 ; </think> <answer> ( 14 - 7 ) * 3 </answer>"
    )
    ids = encode_response(tokenizer, response)
    assert decode_response(tokenizer, ids) == response
    assert len(ids) == len(response.split()) + 1 and tokenizer.convert_ids_to_tokens(ids[-1]) == EOS
    assert len(tokenizer) % 64 == 0


def test_the_prompt_starts_with_bos_once_and_the_response_never_does() -> None:
    tokenizer = build_tokenizer()
    assert encode_prompt(tokenizer, "nums 6 13 3 target 81 <think>").count(tokenizer.bos_token_id) == 1
    assert tokenizer.bos_token_id not in encode_response(tokenizer, "6 * 13 = 78")


def test_a_word_outside_the_vocabulary_is_an_error_that_names_it() -> None:
    with pytest.raises(TokenizerError, match="twelve"):
        encode_prompt(build_tokenizer(), "nums twelve 3 target 15 <think>")
