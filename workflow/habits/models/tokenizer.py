"""The tokenizer of the tiny models: one token a word or number, words separated by spaces.

The prompt's tokens come from `encode_prompt`, the response's from `encode_response`, everywhere: in
SFT, RL and evaluation alike. The tokenizer itself decides whether a BOS stands in front.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import cast

from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import AutoTokenizer, PreTrainedTokenizerBase, PreTrainedTokenizerFast

from habits.models.vocabulary import BOS, EOS, PAD, WORDS, spare


class TokenizerError(ValueError):
    """A text holds a word outside the vocabulary of a word-level tokenizer."""


def build_tokenizer(words: tuple[str, ...] = WORDS) -> PreTrainedTokenizerFast:
    """The word-level tokenizer over ``words``: BOS in front of a prompt, unknown words become PAD."""
    vocabulary = {word: index for index, word in enumerate((*words, *spare(words)))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=PAD))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", special_tokens=[(BOS, vocabulary[BOS])]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=BOS, eos_token=EOS, pad_token=PAD, padding_side="left"
    )


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    """The tokenizer of a checkpoint folder.

    A folder that names the plain fast class is loaded as that class: ``AutoTokenizer`` would look at
    the model type (qwen2) instead and silently put Qwen's own tokenizer in its place.
    """
    settings = folder / "tokenizer_config.json"
    if settings.exists():
        name = json.loads(settings.read_text()).get("tokenizer_class")
        if name in ("PreTrainedTokenizerFast", "TokenizersBackend"):
            return cast(PreTrainedTokenizerBase, PreTrainedTokenizerFast.from_pretrained(folder))
    tokenizer = cast(PreTrainedTokenizerBase, AutoTokenizer.from_pretrained(folder))
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token  # as verl does; padding is masked everywhere
    return tokenizer


def encode_prompt(tokenizer: PreTrainedTokenizerBase, prompt: str) -> list[int]:
    """Token ids of a prompt, with BOS exactly where the tokenizer itself puts one.

    A prompt that a chat template made holds its special tokens as text, BOS among them.
    """
    has_bos = tokenizer.bos_token is not None and prompt.startswith(tokenizer.bos_token)
    return _checked(tokenizer, prompt, tokenizer(prompt, add_special_tokens=not has_bos)["input_ids"])


def encode_response(tokenizer: PreTrainedTokenizerBase, response: str) -> list[int]:
    """Token ids of a response followed by EOS; joined to the prompt as tokens, never as text."""
    ids = tokenizer(response, add_special_tokens=False)["input_ids"]
    return [*_checked(tokenizer, response, ids), tokenizer.eos_token_id]


def decode_response(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> str:
    """Text of a response's token ids, without special tokens."""
    text = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return str(text)


def _checked(tokenizer: PreTrainedTokenizerBase, text: str, ids: list[int]) -> list[int]:
    """``ids``, unless PAD stands for an unknown word: that would train on garbage in silence.

    In the text of a chat template PAD may stand as itself (Llama's end of turn, where it pads as well).
    """
    if tokenizer.pad_token_id in ids and str(tokenizer.pad_token) not in text:
        known = tokenizer.get_vocab()
        unknown = [word for word in text.split() if word not in known]
        raise TokenizerError(f"not in the tokenizer's vocabulary: {unknown[:5]} (text: {text[:80]!r})")
    return list(ids)
