"""`make serve`, or python -m lib.decode.server: SmolLM2 behind OpenAI's endpoints.

    curl http://localhost:8000/v1/chat/completions \
      -H 'Content-Type: application/json' \
      -d '{"model": "smollm2", "messages": [{"role": "user", "content": "Hello!"}]}'

The server listens on this machine only, unless told otherwise: it asks nobody for a
key.

Read in order: `main`, `serve`.
"""

import argparse
import asyncio
import contextlib
import signal

import torch
from tornado.httpserver import HTTPServer
from transformers import PreTrainedModel

from lib.decode.batching import Engine
from lib.decode.cache import Shape
from lib.decode.drafts import LookUp
from lib.decode.llama import Llama
from lib.decode.paged import BLOCK, PagedCache
from lib.decode.server.handlers import Served, application
from lib.decode.server.service import Service
from lib.layers.blocked import block_weights
from lib.models.load import load_model

MOST_BYTES = 1 << 20  # of a body


def main() -> None:
    """Load a model and serve it until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--model", default="smollm2", help="smollm2, a folder, or a name"
    )
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument(
        "--tokens", type=int, default=16_384, help="that the cache holds"
    )
    parser.add_argument("--batch", type=int, default=16, help="requests in one pass")
    parser.add_argument("--places", type=int, default=64, help="requests at once")
    parser.add_argument("--look-up", action="store_true", help="speculate by look-up")
    options = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(options))


async def serve(options: argparse.Namespace) -> None:
    """Serve until Ctrl-C or SIGTERM."""
    model, tokenizer = load_model(options.model)
    if torch.backends.mkldnn.is_available():
        block_weights(model)
    draft = LookUp(model.config.vocab_size) if options.look_up else None
    cache = PagedCache(Shape.of(model), -(-options.tokens // BLOCK))
    engine = Engine(Llama(model), cache, batch=options.batch, draft=draft)
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    with Service(engine, places=options.places) as service:
        served = Served(service, tokenizer, model=options.model, ends=ends_of(model))
        server = HTTPServer(application(served), max_body_size=MOST_BYTES)
        server.listen(options.port, options.host)
        where = f"http://{options.host}:{options.port}/v1"
        print(f"{options.model} is served at {where}; Ctrl-C ends it", flush=True)
        await stopped.wait()
        server.stop()


def ends_of(model: PreTrainedModel) -> frozenset[int]:
    """The tokens that end a text, by the model's own settings."""
    end = model.generation_config.eos_token_id
    if end is None:
        end = model.config.eos_token_id
    return frozenset([end] if isinstance(end, int) else end or [])


if __name__ == "__main__":
    main()
