"""How labels compare: by the likelihood of their words, or corrected for length or for the prior.

A tuned model has learnt the labels as they are, so their log-likelihoods' softmax is its answer.
One that is asked as it is prefers short labels and frequent words: a mean over tokens undoes the
first (`acc_norm` of lm-eval), and taking off what a label scores behind a question about nothing
undoes both (PMI, arXiv 2104.08315).
"""

import torch
from torch import Tensor

SUM, MEAN, PRIOR = "sum", "mean", "prior"
AUTO = "auto"  # the best of them on validation


def compared(likelihoods: Tensor, lengths: Tensor, prior: Tensor, scores: str) -> Tensor:
    """Log-probabilities of the labels, float32 [R, C].

    Shapes:
        likelihoods: float32 [R, C], nats
        lengths: int64 [C], tokens that each label is scored by
        prior: float32 [1 or R, C], likelihoods behind a question about nothing
    """
    if scores == MEAN:
        likelihoods = likelihoods / lengths
    elif scores == PRIOR:
        likelihoods = likelihoods - prior
    return torch.log_softmax(likelihoods, -1)
