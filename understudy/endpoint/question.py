"""A question as a chat completion's request."""

import json
from collections.abc import Sequence
from typing import Any

from understudy.endpoint.options import ClientOptions, Constraint, Thinking
from understudy.graph.prompts import Prompt

FRAME_TOKENS = 24  # the braces and the name of a JSON answer, on top of the label


def request_body(
    prompt: Prompt,
    label_names: Sequence[str],
    options: ClientOptions,
    constraint: Constraint,
    thinking: Thinking,
) -> dict[str, Any]:
    """The request; its words are those that a teacher is trained and asked with."""
    # A token has at least a letter of what JSON makes of a label.
    room = max(len(json.dumps(name)[1:-1]) for name in label_names) + FRAME_TOKENS
    body: dict[str, Any] = {
        "model": options.model,
        "messages": [{"role": "user", "content": prompt.text}],
    }
    if thinking == "effort":  # models that know it take no temperature, and count otherwise
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
    """What holds a server to the labels, if anything does."""
    if constraint == "choice":  # vLLM
        return {"structured_outputs": {"choice": list(label_names)}}
    if constraint == "grammar":  # llama.cpp; a JSON string is one of GBNF, but for escaped letters
        names = (json.dumps(name, ensure_ascii=False) for name in label_names)
        return {"grammar": "root ::= " + " | ".join(names)}
    if constraint != "json_schema":
        return {}
    schema = {
        "type": "object",
        "properties": {"category": {"type": "string", "enum": list(label_names)}},
        "required": ["category"],
        "additionalProperties": False,
    }
    named = {"name": "category", "strict": True, "schema": schema}
    return {"response_format": {"type": "json_schema", "json_schema": named}}
