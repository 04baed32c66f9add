"""LitServe with the same predictor: one worker process, which batches waiting requests."""

from collections.abc import Sequence
from typing import Any

import litserve  # type: ignore[import-not-found, unused-ignore]

from benchmarks.peers.arguments import LOOPBACK, ServerArguments, read_arguments
from benchmarks.peers.peer import BATCH
from benchmarks.serving.servers import CLASSIFY

BATCH_SECONDS = 0.001  # that the first request of a batch waits for others


class Classify(litserve.LitAPI):  # type: ignore[misc, unused-ignore]
    """Requests as JSON in, predictions out."""

    def __init__(self, own: ServerArguments) -> None:
        super().__init__(max_batch_size=BATCH, batch_timeout=BATCH_SECONDS, api_path=CLASSIFY)
        self.own = own

    def setup(self, device: str) -> None:
        from benchmarks.peers.predictor import Predictor

        self.predictor = Predictor(self.own.bundle, self.own.student)

    def batch(self, inputs: Sequence[dict[str, Any]]) -> Sequence[dict[str, Any]]:
        return inputs

    def predict(self, requests: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        top_k = max(request.get("top_k", 1) for request in requests)
        answers = self.predictor.answer_all([request["nodes"] for request in requests], top_k)
        return [{"predictions": answer} for answer in answers]

    def unbatch(self, output: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return output


def main() -> None:
    options = read_arguments()
    server = litserve.LitServer(
        Classify(options), accelerator="cpu", devices=1, workers_per_device=1, fast_queue=True
    )
    server.run(
        host=LOOPBACK,
        port=options.port,
        num_api_servers=1,
        log_level="warning",
        generate_client_file=False,
        access_log=False,
    )


if __name__ == "__main__":
    main()
