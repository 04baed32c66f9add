"""Search and listing of nodes, built on first use and rebuilt for another graph."""

from understudy.graph.mutable.listing import Listing
from understudy.graph.mutable.search import Search
from understudy.graph.mutable.view import GraphView


class Directory:
    """Caches the search and the listing of a graph's base; call it off the event loop.

    Two threads may build the same thing at once; one result is then kept.
    """

    def __init__(self) -> None:
        self.kept_search: Search | None = None
        self.kept_listing: Listing | None = None

    def search(self, view: GraphView) -> Search:
        kept = self.kept_search
        if kept is None or kept.base is not view.parts.base:
            kept = self.kept_search = Search(view.parts.base)
        return kept

    def listing(self, view: GraphView) -> Listing:
        kept = self.kept_listing
        if kept is None or kept.base is not view.parts.base:
            kept = self.kept_listing = Listing(view.parts.base)
        return kept
