"""Prompts: template, draw, token ids, padded batches; knows a tokenizer, not a model."""
