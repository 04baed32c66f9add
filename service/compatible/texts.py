"""The APIs of other text classifiers: TEI's `/predict` and vLLM's `/classify`."""

from time import time
from typing import Annotated
from uuid import uuid4

import msgspec
import numpy as np
from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from service.compatible.nodes import node_of_text
from service.errors import InvalidFieldError
from service.http.exchange import decode
from service.http.repeats import look_through
from service.inference.job import ClassifyJob
from service.messages import Node, Prediction, Route, encode, refuse_if_any_failed
from understudy.engine.requests import SCORE_DECIMALS, joined_logits, probabilities

Text = Annotated[
    str, Meta(description='Text of an unseen node, or a node as the JSON text `{"node": …}`.')
]
PAIR = 'a list of texts is a pair of them in this API; send several nodes as [["…"], ["…"]]'


class PredictRequest(Struct, frozen=True):
    """One text, or a list of lists of one text each, as in text-embeddings-inference."""

    inputs: Text | Annotated[tuple[Text | tuple[Text, ...], ...], Meta(min_length=1)]
    raw_scores: Annotated[bool, Meta(description="Answer with the scores before the softmax.")] = (
        False
    )
    truncate: bool | None = None


class TextScore(Struct, frozen=True):
    """A label and its score."""

    label: str
    score: float


class ClassifiedText(Struct):
    """The answer for one text."""

    index: int
    label: str
    probs: Annotated[
        list[float], Meta(description="Probabilities in the order of the labels in /info.")
    ]
    num_classes: int


class TextUsage(Struct, frozen=True):
    """The student uses no tokens."""

    prompt_tokens: int = 0
    total_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: None = None


class ClassifiedTexts(Struct):
    """vLLM's answer."""

    id: str
    created: int
    model: str
    data: list[ClassifiedText]
    object: str = "list"
    usage: TextUsage = TextUsage()


class TextsOutline(Struct):
    """The fields by which vLLM's body is distinguished from ours."""

    input: Raw | UnsetType = UNSET
    nodes: Raw | UnsetType = UNSET
    # Names of the option in several releases, for probabilities or raw scores; true by default.
    use_activation: bool | None = None
    activation: bool | None = None
    softmax: bool | None = None


class TextsRequest(Struct):
    """A request in vLLM's form; see `service.inference.classifier.TranslatedRequest`."""

    nodes: tuple[Node, ...]
    raw_scores: bool = False
    top_k: int = 1
    route: Route = "student"

    def answer_body(self, job: ClassifyJob) -> bytes:
        """See `TranslatedRequest`."""
        names = job.engine.manifest.label_names
        scores = scores_of(job, self.raw_scores)
        data = [
            ClassifiedText(index, best_of(prediction), row, len(names))
            for index, (prediction, row) in enumerate(zip(job.predictions, scores, strict=True))
        ]
        name = f"classify-{uuid4().hex}"
        return encode(ClassifiedTexts(name, int(time()), job.engine.manifest.name, data))


OUTLINE = msgspec.json.Decoder(TextsOutline)
TEXTS = msgspec.json.Decoder(str | tuple[str, ...])


def read_texts(content: bytes, refusal: InvalidFieldError) -> TextsRequest:
    """Decodes a body that is not ours as vLLM's, if it cannot be anything else.

    Args:
        refusal: why it is not ours.

    Raises:
        InvalidFieldError: the refusal, or the error of the body as vLLM's.
    """
    outline = decode(OUTLINE, content)
    if isinstance(outline.input, UnsetType) or not isinstance(outline.nodes, UnsetType):
        raise refusal
    try:
        decoded = decode(TEXTS, outline.input)
    except InvalidFieldError as error:
        raise error.below("input") from error
    look_through(content)
    texts = (decoded,) if isinstance(decoded, str) else decoded
    if not texts:
        raise InvalidFieldError("input", "expected a text or a list of texts")
    nodes = tuple(node_of_text(text, f"input.{n}") for n, text in enumerate(texts))
    wishes = (outline.use_activation, outline.activation, outline.softmax)
    return TextsRequest(nodes, raw_scores=False in wishes)


def nodes_of(request: PredictRequest) -> tuple[Node, ...]:
    """Converts the texts to nodes; raises InvalidFieldError for pairs of texts."""
    if isinstance(request.inputs, str):
        return (node_of_text(request.inputs, "inputs"),)
    nodes = []
    for number, texts in enumerate(request.inputs):
        if isinstance(texts, str) or len(texts) != 1:
            raise InvalidFieldError("inputs", PAIR)
        nodes.append(node_of_text(texts[0], f"inputs.{number}"))
    return tuple(nodes)


def predicted(request: PredictRequest, job: ClassifyJob) -> bytes:
    """Encodes TEI's answer: every label of each node, best first; one text without outer list."""
    names = job.engine.manifest.label_names
    rows = []
    for prediction, row in zip(job.predictions, scores_of(job, request.raw_scores), strict=True):
        scores, best = map(TextScore, names, row), best_of(prediction)
        # After rounding, another label may have the same score as the best one.
        rows.append(sorted(scores, key=lambda entry: (-entry.score, entry.label != best)))
    return encode(rows[0] if isinstance(request.inputs, str) else rows)


def best_of(prediction: Prediction) -> str:
    """Returns the label of an answered node."""
    assert prediction.label is not None
    return prediction.label


def scores_of(job: ClassifyJob, raw: bool) -> list[list[float]]:
    """Computes the scores of every node, in order, for every label: probabilities or logits.

    Raises:
        NoNodeError: a node has no answer, because these APIs have no errors per node.
    """
    refuse_if_any_failed(job.predictions)
    logits = joined_logits(job.resolution, job.inference)
    scores = logits if raw else probabilities(logits, job.engine.manifest.calibration.temperature)
    rows = scores.astype(np.float64).round(SCORE_DECIMALS).tolist()
    placed = sorted(zip(job.resolution.positions, rows, strict=True), key=lambda pair: pair[0])
    return [row for _, row in placed]
