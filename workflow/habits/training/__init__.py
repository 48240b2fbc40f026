"""Training: supervised fine-tuning on priming sets, then reinforcement learning."""
