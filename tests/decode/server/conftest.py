"""A server that is really there, on a port of its own, behind a small random model."""

import asyncio
import threading
from contextlib import contextmanager

import pytest
import torch
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port

from lib.decode.batching import Engine
from lib.decode.cache import Shape
from lib.decode.llama import Llama
from lib.decode.paged import PagedCache
from lib.decode.server.handlers import Served, application
from lib.decode.server.service import Service
from tests.conftest import llama_of

BLOCKS = 64


@pytest.fixture(scope="session")
def tokenizer(smollm2):
    return smollm2[1]


@pytest.fixture(scope="session")
def model(tokenizer):
    return llama_of(
        vocab_size=len(tokenizer), max_position_embeddings=256, initializer_range=0.3
    )


@contextmanager
def serving(model, tokenizer, **how):
    """The server's address and its engine, in a thread with an event loop."""
    engine = Engine(Llama(model), PagedCache(Shape.of(model), BLOCKS))
    sockets, port = bind_unused_port()
    ready, stopped = threading.Event(), []

    async def serve():
        end = asyncio.Event()
        stopped.append((asyncio.get_running_loop(), end))
        with Service(engine, **how) as service:
            ends = frozenset({tokenizer.eos_token_id})
            served = Served(service, tokenizer, model="small", ends=ends)
            server = HTTPServer(application(served), max_body_size=1 << 20)
            server.add_socket(sockets)
            ready.set()
            await end.wait()
            server.stop()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    ready.wait()
    try:
        yield f"http://127.0.0.1:{port}", engine
    finally:
        loop, end = stopped[0]
        loop.call_soon_threadsafe(end.set)
        thread.join()


@pytest.fixture
def server(model, tokenizer):
    """A server of the defaults."""
    with serving(model, tokenizer) as found:
        yield found


@pytest.fixture(autouse=True)
def one_thread():
    """The engine's thread inherits it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
