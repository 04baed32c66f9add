"""POST /classify, straight on ASGI: the route whose own cost is most of a look-up's."""

from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope, Send

from service.answers import error_response, send_json
from service.classifier import Classifier
from service.messages import decode_request, encode
from service.statuses import STATUS_OF_CODE


class ClassifyRoute:
    def __init__(self, classifier: Classifier) -> None:
        self.classifier = classifier

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = decode_request(await read_body(receive))
        response, inference = await self.classifier.classify(request)
        errors = [prediction.error for prediction in response.predictions]
        if errors[0] is not None and None not in errors:
            failure = error_response(STATUS_OF_CODE[errors[0].code], errors[0])
            await failure(scope, receive, send)
            return
        encode_ms = inference.encode_ms if inference else 0.0
        inference_ms = inference.inference_ms if inference else 0.0
        headers = (
            (b"x-encode-time", b"%.3f" % encode_ms),
            (b"x-inference-time", b"%.3f" % inference_ms),
        )
        await send_json(send, 200, encode(response), headers)


async def read_body(receive: Receive) -> bytes:
    """The whole body; its size is limited by the gateway.

    Raises:
        ClientDisconnect: the client left before it was whole.
    """
    message = await receive()
    if not message.get("more_body", False) and message["type"] == "http.request":
        body: bytes = message["body"]
        return body
    parts = []
    while True:
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)
        message = await receive()
