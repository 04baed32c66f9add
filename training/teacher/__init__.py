"""Teachers: language models that are tuned on a graph's prompts and asked about its nodes."""
