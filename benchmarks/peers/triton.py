"""Triton (nvidia-pytriton) with the same predictor: its own HTTP server and batcher."""

from typing import Any

import msgspec

from benchmarks.peers.arguments import LOOPBACK, read_arguments
from benchmarks.peers.peer import BATCH
from benchmarks.peers.triton_protocol import TRITON_MODEL

BATCH_MICROSECONDS = 1_000  # that the first request of a batch waits for others


def main() -> None:
    options = read_arguments()
    import numpy as np
    from pytriton.decorators import batch  # type: ignore[import-not-found, unused-ignore]
    from pytriton.model_config import (  # type: ignore[import-not-found, unused-ignore]
        DynamicBatcher,
        ModelConfig,
        Tensor,
    )
    from pytriton.triton import (  # type: ignore[import-not-found, unused-ignore]
        Triton,
        TritonConfig,
    )

    from benchmarks.peers.predictor import Predictor

    predictor = Predictor(options.bundle, options.student)

    @batch  # type: ignore[untyped-decorator, unused-ignore]
    def infer(request: Any) -> dict[str, Any]:
        bodies = [msgspec.json.decode(text) for (text,) in request.tolist()]
        top_k = max(own.get("top_k", 1) for own in bodies)
        answers = predictor.answer_all([own["nodes"] for own in bodies], top_k)
        encoded = [[msgspec.json.encode({"predictions": answer})] for answer in answers]
        return {"answer": np.array(encoded, dtype=object)}

    config = TritonConfig(
        http_address=LOOPBACK,
        http_port=options.port,
        allow_grpc=False,
        allow_metrics=False,
        log_verbose=0,
    )
    batching = ModelConfig(
        max_batch_size=BATCH,
        batcher=DynamicBatcher(max_queue_delay_microseconds=BATCH_MICROSECONDS),
    )
    with Triton(config=config) as triton:
        triton.bind(
            model_name=TRITON_MODEL,
            infer_func=infer,
            inputs=[Tensor(name="request", dtype=bytes, shape=(1,))],
            outputs=[Tensor(name="answer", dtype=bytes, shape=(1,))],
            config=batching,
            strict=False,
        )
        triton.serve()


if __name__ == "__main__":
    main()
