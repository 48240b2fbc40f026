"""Settings under another prompt template than the presets'."""

from habits.params import Params


def with_template(params: Params, name: str) -> Params:
    """Params whose models all have a prompt template, past the check that params.yaml goes through."""
    models = {
        model: spec.model_copy(update={"prompt_template": name}) for model, spec in params.models.items()
    }
    return params.model_copy(update={"models": models})
