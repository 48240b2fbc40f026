"""Cards as the Hub reads them: metadata that its own library accepts, numbers and hashes of the artifacts."""

from __future__ import annotations

import pandas as pd
from huggingface_hub import DatasetCard, ModelCard

from habits.artifacts import hash_path


def test_every_model_has_a_card_with_its_accuracy(site):
    for run in site.inputs.whole.runs:
        card = ModelCard.load(site.out / "cards/models" / f"{run.path.replace('/', '-')}.md")
        rollouts = pd.read_parquet(site.inputs.rollouts(run))
        last = rollouts[rollouts["rl_step"] == rollouts["rl_step"].max()]
        (result,) = card.data.eval_results
        assert result.metric_value == round(last["correct"].mean(), 4)
        assert card.data.license == "apache-2.0" and run.algorithm in card.data.tags
        assert hash_path(site.results / "rl" / run.path) in card.text


def test_every_priming_set_has_a_card_with_its_hash_and_behaviors(site):
    for file in site.inputs.priming:
        card = DatasetCard.load(site.out / "cards/datasets" / f"{file.priming}-seed{file.seed}.md")
        assert card.data.size_categories == "n<1K"
        assert card.data.configs[0]["data_files"] == f"seed{file.seed}.parquet"
        assert hash_path(file.path) in card.text and "| verification | yes |" in card.text
    assert len(list((site.out / "cards/datasets").iterdir())) == len(site.inputs.priming)
