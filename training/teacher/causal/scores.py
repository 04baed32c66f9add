"""Compares labels by the likelihood of their words, or corrected for length or for the prior.

A tuned model has learned the labels themselves, so the softmax of their log-likelihoods is its
answer. An untuned model prefers short labels and frequent words: a mean over tokens corrects the
first (`acc_norm` of lm-eval), and subtracting a label's score after an empty question corrects both
(PMI, arXiv 2104.08315).
"""

import torch
from torch import Tensor

SUM, MEAN, PRIOR = "sum", "mean", "prior"
AUTO = "auto"  # the best of them on validation


def compared(likelihoods: Tensor, lengths: Tensor, prior: Tensor, scores: str) -> Tensor:
    """Log-probabilities of the labels, float32 [R, C].

    Shapes:
        likelihoods: float32 [R, C], nats
        lengths: int64 [C], number of tokens that score each label
        prior: float32 [1 or R, C], likelihoods after an empty question
    """
    if scores == MEAN:
        likelihoods = likelihoods / lengths
    elif scores == PRIOR:
        likelihoods = likelihoods - prior
    return torch.log_softmax(likelihoods, -1)
