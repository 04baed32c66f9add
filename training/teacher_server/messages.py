"""The request of a chat completion: the parts of the OpenAI format that are read."""

from typing import Literal

from fastapi import Request
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from training.teacher_server.errors import MalformedError

MAX_PROMPT_CHARACTERS = 200_000
MAX_BODY_BYTES = 2**22
UNPROCESSABLE = 422


class TextPart(BaseModel):
    model_config = ConfigDict(extra="ignore")
    type: Literal["text"]
    text: str = Field(max_length=MAX_PROMPT_CHARACTERS)


class Message(BaseModel):
    model_config = ConfigDict(extra="ignore")
    role: str
    content: str | list[TextPart]

    @property
    def text(self) -> str:
        if isinstance(self.content, str):
            return self.content
        return "".join(part.text for part in self.content)


class ResponseFormat(BaseModel):
    model_config = ConfigDict(extra="ignore")
    type: Literal["text", "json_object", "json_schema"]


class ChatRequest(BaseModel):
    """A request; fields that are not listed are ignored."""

    model_config = ConfigDict(extra="ignore")
    model: str = ""
    messages: list[Message] = Field(min_length=1)
    response_format: ResponseFormat | None = None
    stream: bool = False

    @property
    def wants_json(self) -> bool:
        return self.response_format is not None and self.response_format.type != "text"


async def read_chat(request: Request) -> ChatRequest:
    """Reads and checks a body.

    Raises:
        MalformedError: it is too large, not JSON, or has an invalid field.
        ClientDisconnect: the client left.
    """
    try:
        chat = ChatRequest.model_validate_json(await read_body(request))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        param = ".".join(map(str, first["loc"]))
        status = None if first["type"] == "json_invalid" else UNPROCESSABLE
        message = f"{param}: {first['msg']}" if param else first["msg"]
        raise MalformedError(message, param or None, status) from error
    if chat.stream:
        raise MalformedError("this server does not stream", "stream", UNPROCESSABLE)
    if len(chat.messages[-1].text) > MAX_PROMPT_CHARACTERS:
        raise MalformedError(
            f"at most {MAX_PROMPT_CHARACTERS:,} characters", "messages", UNPROCESSABLE
        )
    return chat


async def read_body(request: Request) -> bytes:
    """The whole body, up to a limit.

    Raises:
        MalformedError: it is larger.
        ClientDisconnect: the client left.
    """
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise MalformedError(f"the body has more than {MAX_BODY_BYTES:,} bytes", status=413)
    return b"".join(parts)
