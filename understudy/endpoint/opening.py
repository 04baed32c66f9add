"""The asker of an endpoint, chosen by the endpoint's form."""

from collections.abc import Mapping

from understudy.endpoint.asker import Asker
from understudy.endpoint.options import ClientOptions


def open_asker(options: ClientOptions, descriptions: Mapping[str, str] | None = None) -> Asker:
    """Opens the asker; the client is imported here because that takes a second.

    Args:
        descriptions: label → a line about it; chat prompts contain them already.
    """
    if options.wire == "chat":
        from understudy.endpoint.client import ChatClient

        return ChatClient(options)
    from understudy.endpoint.decisions.asker import DecisionAsker

    return DecisionAsker(options, descriptions)
