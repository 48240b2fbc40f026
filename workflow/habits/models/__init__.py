"""Tiny base models, their tokenizer and corpus, and batched generation for any Hugging Face model."""
