"""Builds the request of a chat completion."""

import json
from collections.abc import Sequence
from typing import Any

from understudy.endpoint.naming import ASKED_FIELD
from understudy.endpoint.options import ClientOptions, Constraint, Thinking
from understudy.graph.prompts import Prompt

FRAME_TOKENS = 24  # for the braces and the name of a JSON answer


def request_body(
    prompt: Prompt,
    label_names: Sequence[str],
    options: ClientOptions,
    constraint: Constraint,
    thinking: Thinking,
) -> dict[str, Any]:
    """The request; it uses the same wording as the teacher's training."""
    # A token covers at least one character of the label's JSON form.
    room = max(len(json.dumps(name)[1:-1]) for name in label_names) + FRAME_TOKENS
    body: dict[str, Any] = {
        "model": options.model,
        "messages": [{"role": "user", "content": prompt.text}],
    }
    if thinking == "effort":  # such models accept no temperature, and count tokens differently
        body |= {"max_completion_tokens": room, "reasoning_effort": "none"}
    else:
        waited = options.thinking_tokens if thinking == "wait" else 0
        body |= {"temperature": 0, "max_tokens": room + waited}
    if thinking == "template":
        body["chat_template_kwargs"] = {"enable_thinking": False}
    if options.top:
        body |= {"logprobs": True, "top_logprobs": options.top}
    return body | constraint_fields(constraint, label_names)


def constraint_fields(constraint: Constraint, label_names: Sequence[str]) -> dict[str, Any]:
    """The fields that restrict a server's answers to the labels."""
    if constraint == "choice":  # vLLM
        return {"structured_outputs": {"choice": list(label_names)}}
    if constraint == "grammar":  # llama.cpp; except for escapes, JSON strings are valid in GBNF
        names = (json.dumps(name, ensure_ascii=False) for name in label_names)
        return {"grammar": "root ::= " + " | ".join(names)}
    if constraint != "json_schema":
        return {}
    schema = {
        "type": "object",
        "properties": {ASKED_FIELD: {"type": "string", "enum": list(label_names)}},
        "required": [ASKED_FIELD],
        "additionalProperties": False,
    }
    named = {"name": ASKED_FIELD, "strict": True, "schema": schema}
    return {"response_format": {"type": "json_schema", "json_schema": named}}
