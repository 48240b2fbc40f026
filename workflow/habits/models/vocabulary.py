"""The words of the tiny models: each is one token. Light to import, for who only counts words."""

LARGEST_NUMBER = 100
PAD, BOS, EOS = "<pad>", "<bos>", "<eos>"
SYMBOLS = (
    *(PAD, BOS, EOS, "nums", "target", "<think>", "</think>", "<answer>", "</answer>"),
    *("+", "-", "*", "/", "=", "(", ")", ";", "."),
    *("back", "restart", "check", "yes", "no", "goal", "need"),
)
WORDS: tuple[str, ...] = (*SYMBOLS, *(str(n) for n in range(LARGEST_NUMBER + 1)))
# A multiple of 64 keeps matrix shapes friendly; the spare rows are named so that they stay visible.
SPARE = tuple(f"<spare{i}>" for i in range(-len(WORDS) % 64))
