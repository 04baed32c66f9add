"""Services as processes on a core of their own, requests to them, and clients."""
