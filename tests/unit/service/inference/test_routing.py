"""The teacher's answers on the wire."""

from service.inference.routing import teacher_prediction
from service.messages import Node
from service.teacher.client import Opinion
from service.teacher.teacher import TeacherAnswer


def test_the_teachers_label_stands_before_labels_that_are_as_probable() -> None:
    opinion = Opinion("b", {"a": 0.4, "b": 0.4, "c": 0.2})
    prediction = teacher_prediction(0, Node(id="x"), TeacherAnswer(opinion, False, 1.0), top_k=2)
    assert (prediction.label, prediction.score) == ("b", 0.4)
    assert [entry.label for entry in prediction.top] == ["b", "a"]
