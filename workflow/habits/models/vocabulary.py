"""The words of the tiny models: each is one token. Light to import, for who only counts words."""

LARGEST_NUMBER = 100
PAD, BOS, EOS = "<pad>", "<bos>", "<eos>"
SYMBOLS = (
    *(PAD, BOS, EOS, "nums", "target", "<think>", "</think>", "<answer>", "</answer>"),
    *("+", "-", "*", "/", "=", "(", ")", ";", "."),
    *("back", "restart", "check", "yes", "no", "goal", "need"),
)
WORDS: tuple[str, ...] = (*SYMBOLS, *(str(n) for n in range(LARGEST_NUMBER + 1)))


def spare(words: tuple[str, ...]) -> tuple[str, ...]:
    """Named, unused words that fill a vocabulary to a multiple of 64, which keeps matrix shapes friendly."""
    return tuple(f"<spare{i}>" for i in range(-len(words) % 64))
