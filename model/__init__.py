"""The Code World Model: architecture, attention, caches, tokenizer and predictors."""
