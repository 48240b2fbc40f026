"""Writes logs as DeepEnlighten's reward function and trainer print them, plain or through Ray."""

from __future__ import annotations

from dataclasses import dataclass, replace

HEADS = {
    "base": "\nAssistant:",
    "qwen": "<|im_end|>\n<|im_start|>assistant\n",
    "llama": "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
}
RIGHT, WRONG = "Answer Validation: PASS (Correct Answer)", "Answer Validation: FAIL (Incorrect Answer)"


@dataclass(frozen=True)
class Printed:
    """A sample as the reward function saw it; ``answer`` is the extracted letter, None without one."""

    question: str = "Why did Jordan go home?"
    thought: str = "Jordan was tired."
    answer: str | None = "A"
    label: str = "A"
    end: str = "<|eot_id|>"
    template: str = "llama"
    format_ok: bool = True
    response: str | None = None  # the whole response, in place of thought and answer

    @property
    def output(self) -> str:
        """Prompt and response as decoded, special tokens included."""
        closing = f"</think>\n<answer> ({self.answer}) rest </answer>" if self.answer else ""
        response = f" {self.thought} {closing}" if self.response is None else self.response
        prompt = f"User: {self.question} (A) rest (B) work (C) eat{HEADS[self.template]}<think>"
        return prompt + response + self.end


def block(sample: Printed) -> str:
    """What is printed about one sample, line by line."""
    valid = sample.answer in ("A", "B", "C")
    right = valid and sample.answer == sample.label
    format_score, answer_score = (1 if sample.format_ok else -1), (2 if right else -2 if valid else -3)
    verdict = (
        RIGHT
        if right
        else WRONG
        if valid
        else f"[Error] Extracted answer '{sample.answer}' is not a valid option"
    )
    lines = [
        "",
        "=" * 80,
        " Processing New Sample ".center(80, "="),
        "[Model Output]",
        *sample.output.split("\n"),
        "-" * 80,
        f"[Ground Truth] Correct Label: {sample.label}",
        "Options: {'A': 'rest', 'B': 'work', 'C': 'eat'}",
        f"Extracted Answer: {sample.answer}" if sample.answer else "[Error] Failed to extract model answer",
        "",
        "[Structure Validation]",
        "  <think>: count=1, position=0",
        f"Format Validation: {'PASS' if sample.format_ok else 'FAIL'}",
        f"Format Score: {format_score}",
        verdict,
        "",
        "-" * 80,
        " Final Score ".center(80, "-"),
        f"  Format: {format_score}",
        f"  Answer: {answer_score}",
        f"  Total: {format_score + answer_score}",
        "=" * 80,
        "",
    ]
    return "\n".join(lines) + "\n"


def training_log(steps: list[list[Printed]], validations: dict[int, list[Printed]] | None = None) -> str:
    """A log of a run: validation before RL (key 0) and after the steps that are keys, training batches."""
    validations = validations or {}
    text = "{'actor_rollout_ref': {'model': ...}}\nSize of train dataloader: 8352\n"
    text += _validation(validations.get(0, []))
    for step, samples in enumerate(steps, start=1):
        text += f"epoch 0, step {step}\n" + "".join(map(block, samples))
        text += _validation(validations.get(step, []))
        text += f"step:{step} - critic/rewards/mean:1.000 - timing_s/step:3.1\n"
    return text


def through_ray(text: str, process: str = "main_task pid=4711", color: bool = True) -> str:
    """Every line as Ray's driver shows a worker's: a colored prefix."""
    prefix = f"\x1b[36m({process})\x1b[0m " if color else f"({process}) "
    return "".join(f"{prefix}{line}\n" for line in text.splitlines())


def interleaved(text: str, noise: str, every: int = 3) -> str:
    """``text`` with a line of ``noise`` after every few lines."""
    found = []
    for number, line in enumerate(text.splitlines(keepends=True)):
        found += [line, noise] if number % every == 0 else [line]
    return "".join(found)


def _validation(samples: list[Printed]) -> str:
    return "validation generation end\n" + "".join(map(block, samples)) if samples else ""


def varied(count: int) -> list[Printed]:
    """Samples that differ in question, answer, length and end."""
    letters = ("A", "B", "C", None)
    return [
        replace(
            Printed(),
            question=f"Question {i // 4}?",
            thought="Jordan was tired. " * (1 + i % 7),
            answer=letters[i % 4],
            label="ABC"[i % 3],
            end="" if i % 5 == 4 else "<|eot_id|>",
            format_ok=i % 4 != 3,
        )
        for i in range(count)
    ]
