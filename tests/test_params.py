"""params.yaml: what is valid, and how well mistakes are told."""

import re
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any, get_origin

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from habits.cli import PRESETS, SCHEMA
from habits.mistakes import sections_in
from habits.params import Params, ParamsError, load, schema_text, validate
from habits.social_params import SOCIAL_REWARDS
from habits.tasks.countdown import TEMPLATES
from habits.workdir import write_settings

SMOKE = yaml.safe_load((PRESETS / "smoke.yaml").read_text())


def changed(**values: Any) -> dict[str, Any]:
    """The smoke preset with dotted keys changed: ``changed(**{"rl.steps": 3})``."""
    raw = deepcopy(SMOKE)
    for key, value in values.items():
        *path, last = key.split(".")
        section = raw
        for part in path:
            section = section[int(part)] if isinstance(section, list) else section[part]
        section[last] = value
    return raw


def message(raw: Any) -> str:
    with pytest.raises(ParamsError) as error:
        validate(raw)
    return str(error.value)


@pytest.mark.parametrize("path", sorted(PRESETS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_preset_is_valid_and_named_after_its_file(path: Path) -> None:
    assert load(path).preset == path.stem


def test_the_settings_in_effect_are_valid() -> None:
    assert load(PRESETS.parents[1] / "params.yaml").runs


def test_schema_file_is_in_step_with_the_model() -> None:
    assert SCHEMA.read_text() == schema_text(), "write it again with `habits schema`"


def fields(model: type[BaseModel], prefix: str) -> Iterator[str]:
    """Dotted names of all settings, with ``*`` for the keys of a dict and the lines of a list."""
    for name, field in model.model_fields.items():
        inner = sections_in(field.annotation)
        many = ".*" if get_origin(field.annotation) in (list, dict) else ""
        if not inner:
            yield f"{prefix}{name}"
        for section in inner:
            yield from fields(section, f"{prefix}{name}{many}.")


def test_the_handbook_explains_every_setting_and_no_other() -> None:
    page = (PRESETS.parents[1] / "docs/settings.md").read_text()
    explained = re.findall(r"^\| `([\w.*]+)` \|", page, flags=re.MULTILINE)
    assert sorted(explained) == sorted(set(fields(Params, "")))


def test_models_know_every_template_they_may_choose() -> None:
    assert "short" in TEMPLATES


def test_runs_are_named_by_model_priming_algorithm_and_seed() -> None:
    params = validate(SMOKE)
    run, line = params.run("plain/none/ppo_matched_tokens/seed1")
    assert (run.seed, line.variant) == (1, "matched_tokens")
    assert params.rl_settings(line).steps == SMOKE["matrix"][1]["rl"]["steps"]
    assert params.rl_settings(params.matrix[0]).steps == SMOKE["rl"]["steps"]
    with pytest.raises(ParamsError, match="plain/none/ppo/seed99"):
        params.run("plain/none/ppo/seed99")


def test_a_task_changes_rl_for_its_runs_and_lines_change_that() -> None:
    params = validate(changed(**{"social_iqa.rl": {"algorithm": "ppo", "steps": 6, "save_every": 2}}))
    line = next(line for line in params.matrix if line.model == "social")
    assert (params.rl_settings(line).algorithm, params.rl_settings(line).steps) == ("ppo", 6)
    grpo = line.model_copy(update={"variant": "groups", "rl": {"algorithm": "grpo", "group_size": 2}})
    assert (params.rl_settings(grpo).algorithm, params.rl_settings(grpo).steps) == ("grpo", 6)
    assert params.runs_of(grpo)[0].path == "social/none/grpo_groups/seed1"


def test_one_task_alone_has_its_models_runs_and_rl_settings_and_nothing_of_the_other() -> None:
    params = validate(SMOKE)
    countdown, social = params.only("countdown"), params.only("social_iqa")
    assert set(countdown.models) == {"plain", "searching"} and set(social.models) == {"social"}
    assert {*countdown.runs, *social.runs} == set(params.runs) and not set(countdown.runs) & set(social.runs)
    assert countdown.rl == params.rl and social.rl.algorithm == SMOKE["social_iqa"]["rl"]["algorithm"]
    assert "task" not in countdown.model_dump()["models"]["plain"], "Countdown's settings keep their hash"


def test_names_of_rewards_stand_for_weights() -> None:
    weights = {
        name: validate(changed(**{"social_iqa.reward": name})).social_iqa.reward for name in SOCIAL_REWARDS
    }
    assert weights == SOCIAL_REWARDS and weights["readme"].format == 2


def test_written_settings_are_the_same_settings(tmp_path: Path) -> None:
    params = validate(SMOKE)
    assert load(write_settings(params, tmp_path)) == params


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("rl.algorithm", "pppo", ["rl.algorithm is 'pppo'", "'ppo', 'grpo', 'reinforce_plus_plus' or"]),
        ("rl.stepps", 3, ["rl.stepps is not a setting", "did you mean steps?", "group_size"]),
        ("ppo", {}, ["ppo is not a setting", "statistics, calibration, runtime"]),
        ("teacher", "cloud", ["teacher is 'cloud'; choose symbolic, or of llm.models: claude, gpt-4o-mini"]),
        ("judge", "symbolic", ["judge is 'symbolic'; choose none, or of llm.models: claude, gpt-4o-mini"]),
        ("llm.mode", "dead", ["llm.mode is 'dead'; choose 'live' or 'replay'"]),
        ("llm.models.local.base_url", "localhost:8000", ["llm.models.local.base_url: must be an address"]),
        ("llm.models.local.price.outputs", 1, ["outputs is not a setting", "did you mean output?"]),
        ("models.plain.layer", 3, ["models.plain.layer is not a setting", "did you mean layers?"]),
        ("models.plain.layers", "four", ["models.plain.layers is 'four'", "valid integer"]),
        ("models.Plain!", {}, ["models.Plain!", "pattern"]),
        ("rl.steps", 0, ["rl.steps is 0", "greater than or equal to 1"]),
        ("rl.learning_rate", -1, ["rl.learning_rate is -1", "greater than 0"]),
        ("countdown.sizes", {3: 0.5}, ["countdown: sizes: the shares must sum to 1"]),
        ("matrix.1.rl", {"foo": 1}, ["matrix.1.rl.foo is not a setting", "kl_penalty"]),
        ("matrix.1.rl", {"stps": 1}, ["matrix.1.rl.stps is not a setting", "did you mean steps?"]),
        ("matrix.1.rl", {"steps": "x"}, ["matrix.1.rl.steps is 'x'", "valid integer"]),
        ("matrix.0.model", "big", ["matrix.0.model is 'big'", "choose one of models: plain, searching"]),
        ("matrix.0.priming", "nothing", ["matrix.0.priming is 'nothing'", "'none'", "'empty_cot'"]),
        ("matrix.0.seeds", [], ["matrix.0.seeds"]),
        ("matrix.2.model", "plain", ["matrix.2: run plain/none/ppo/seed1 is listed twice"]),
        ("matrix.1.variant", None, ["matrix.1: a line that changes rl settings needs a variant"]),
    ],
)
def test_a_mistake_is_told_by_key_and_fix(key: str, value: Any, words: list[str]) -> None:
    text = message(changed(**{key: value}))
    assert all(word in text for word in ["params.yaml: ", *words]), text


def test_a_key_that_was_pasted_into_the_settings_is_not_repeated() -> None:
    text = message(changed(**{"llm.models.claude.api_key_env": "sk-ant-Canary-77"}))
    assert "llm.models.claude.api_key_env: must name an environment variable" in text
    assert "Canary" not in text


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"rl.algorithm": "grpo"}, ["rl: algorithm grpo", "group_size must be >= 2"]),
        ({"rl.steps": 5}, ["steps must be a multiple of save_every"]),
        ({"rl.kl_in_reward": True}, ["rl: kl_in_reward is true, but kl_coef is 0: set kl_coef above 0 too"]),
        ({"rl.kl_coef": 0.1}, ["rl: kl_coef is 0.1", "set use_kl_loss or", "add -S rl.use_kl_loss=true"]),
        ({"rl.kl_in_reward": True, "rl.use_kl_loss": True, "rl.kl_coef": 0.1}, ["choose one"]),
        ({"rl.mini_batches": 1000}, ["mini_batches is larger"]),
        ({"rl.max_response_tokens": 300}, ["models.plain.max_positions is 128", "need 308"]),
        ({"models.searching.max_positions": 50}, ["models.searching.max_positions is 50", "need 64"]),
        ({"models.plain.heads": 3}, ["hidden_size must divide by heads"]),
        ({"models.plain.corpus_facts": 0.9}, ["must leave room"]),
        ({"priming.min_search_tokens": 91}, ["min_search_tokens is above max_trace_tokens"]),
        ({"countdown.number_min": 50}, ["number_min is above number_max"]),
        ({"countdown.target_max": 500}, ["know the integers 0 to 100"]),
        ({"countdown.max_intermediate": None}, ["know the integers 0 to 100"]),
        ({"countdown.integer_only": False}, ["integer_only true"]),
        ({"rollouts.problems": 1000}, ["rollouts.problems is 1000", "countdown.test has 32"]),
        ({"reward.correct": 0.05}, ["malformed <= well_formed < correct"]),
        ({"social_iqa.reward": "coed"}, ["social_iqa.reward: 'coed' is no reward; choose code or readme"]),
        (
            {"social_iqa.reward": {"correct": -4}},
            ["social_iqa.reward: must hold: invalid <= wrong < correct"],
        ),
        ({"social_iqa.levels": {"easy": 0.5}}, ["social_iqa: levels: the shares must sum to 1"]),
        ({"social_iqa.levels": {"harsh": 1}}, ["social_iqa.levels.harsh", "'easy', 'medium' or 'hard'"]),
        ({"social_iqa.train": None}, ["must be numbers where source is stories"]),
        ({"social_iqa.files": {"train": "x.jsonl"}}, ["files are read where source is published"]),
        ({"social_iqa.source": "published"}, ["tiny models know the words of stories alone"]),
        ({"social_iqa.rl": {"stps": 3}}, ["social_iqa.rl.stps is not a setting", "did you mean steps?"]),
        (
            {"social_iqa.rl": {"algorithm": "grpo"}},
            ["social_iqa.rl: algorithm grpo", "group_size must be >= 2"],
        ),
        ({"social_iqa.test": 8}, ["rollouts.problems is 16; social_iqa.test has 8"]),
        (
            {"models.social.max_positions": 50},
            ["models.social.max_positions is 50", "a prompt of 32", "need 64"],
        ),
        ({"models.social.corpus_notes": 0.95}, ["models.social: ", "must leave room for stories"]),
        ({"models.social.corpus_search": 0.5}, ["models.social.corpus_search is not a setting"]),
        ({"matrix.0.model": "social", "matrix.0.priming": "empty_cot"}, ["matrix.0.priming is 'empty_cot'"]),
    ],
)
def test_an_impossible_combination_is_told(values: dict[str, Any], words: list[str]) -> None:
    text = message(changed(**values))
    assert all(word in text for word in words), text


PRETRAINED = {"pretrained": "Qwen/Qwen2.5-0.5B", "revision": "0" * 40, "prompt_template": "paper_base"}


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ({"revision": "main"}, ["models.plain: revision is 'main'", "40 hex digits", "/commits/main"]),
        ({"revision": None}, ["revision is None"]),
        ({"pretrained": "./folder"}, ["models.plain: revision: a folder has none"]),
        ({"layers": 3}, ["models.plain.layers is not a setting; known here: pretrained, revision"]),
        ({"prompt_template": "short"}, ["models.plain.prompt_template is 'short'; choose 'paper_base'"]),
    ],
)
def test_a_pretrained_model_is_pinned(model: dict[str, Any], words: list[str]) -> None:
    text = message(changed(**{"models.plain": PRETRAINED | model}))
    assert all(word in text for word in words), text


def test_limits_of_the_tiny_models_do_not_bind_others() -> None:
    raw = changed(**{"models": {"plain": PRETRAINED, "searching": PRETRAINED}})
    raw["matrix"] = [line for line in raw["matrix"] if line["model"] != "social"]
    raw["transfer"] = []
    raw["countdown"] |= {"number_max": 500, "max_intermediate": None, "integer_only": False}
    assert validate(raw).models["plain"] == validate(raw).models["searching"]


VERL = yaml.safe_load((PRESETS / "paper.yaml").read_text())["training"]["verl"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"training.verl": None}, ["training: verl must be given exactly when backend is verl"]),
        ({"training.backend": "local"}, ["training: verl must be given exactly when backend is verl"]),
        ({"sft.optimizer": "muon"}, ["sft: the verl backend has optimizer adamw"]),
        ({"rl.mini_batches": 3}, ["rl.prompts_per_step is 16", "must divide by rl.mini_batches (3)"]),
        ({"training.verl.max_tokens_per_gpu": 99}, ["max_tokens_per_gpu is 99", "longest sequence"]),
        ({"training.verl.max_tokens": 99}, ["training.verl.max_tokens is not a setting"]),
    ],
)
def test_what_the_verl_backend_needs_is_told(values: dict[str, Any], words: list[str]) -> None:
    sft = SMOKE["sft"] | {"optimizer": "adamw", "schedule": "cosine"}
    verl = VERL | {"critic_mini_batches": 2}
    text = message(
        changed(**{"sft": sft, "training": SMOKE["training"] | {"backend": "verl", "verl": verl}} | values)
    )
    assert all(word in text for word in words), text


def test_all_mistakes_are_told_at_once() -> None:
    raw = changed(**{"rl.steps": "x", "sft.epoch": 1})
    del raw["reward"]
    lines = message(raw).splitlines()
    assert len(lines) == 3
    assert "params.yaml: reward is missing" in lines


def test_a_key_that_stands_twice_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "params.yaml"
    path.write_text("preset: a\npreset: b\n")
    with pytest.raises(ParamsError, match="'preset' stands twice"):
        load(path)


def test_a_missing_file_and_broken_yaml_are_told(tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match="habits preset laptop"):
        load(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("a: [1")
    with pytest.raises(ParamsError, match=r"bad.yaml: not valid YAML"):
        load(tmp_path / "bad.yaml")


@pytest.mark.parametrize("raw", [None, [], "text", 3, {}])
def test_anything_else_is_an_error_and_not_a_crash(raw: Any) -> None:
    assert message(raw)


def sections(raw: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Paths of all sections (mappings with fixed keys) of parsed settings."""
    if isinstance(raw, list):
        for number, item in enumerate(raw):
            yield from sections(item, (*path, number))
    elif isinstance(raw, dict):
        if path not in {("models",), ("countdown", "sizes"), ("social_iqa", "levels"), ("llm", "models")}:
            yield path
        for key, value in raw.items():
            yield from sections(value, (*path, key))


@given(
    path=st.sampled_from(sorted(sections(SMOKE), key=str)),
    name=st.from_regex(r"[a-z]{3,12}", fullmatch=True),
)
def test_an_unknown_key_anywhere_is_named(path: tuple[Any, ...], name: str) -> None:
    raw = deepcopy(SMOKE)
    section = raw
    for part in path:
        section = section[part]
    key = f"{name}_not_a_setting"
    section[key] = 1
    assert f"{'.'.join(map(str, (*path, key)))} is not a setting; known here: " in message(raw)


def test_params_cannot_be_changed_by_accident() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Params.model_validate(SMOKE).rl.steps = 3  # type: ignore[misc]
