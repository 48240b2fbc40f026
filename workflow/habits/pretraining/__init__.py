"""Pretraining data: documents, their labels, and the priming sets that are rewritten from them."""
