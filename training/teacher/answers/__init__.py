"""A teacher's answers, from prompts to targets.

`Answers` are about prompts (`training.teacher.protocol`), `HopAnswers` about nodes at every hop,
and on disk; a `View` is one way to read these; `Targets` are the view that a student learns from.
"""
