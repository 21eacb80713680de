"""OpenAI's own client speaks with it; what clients get wrong stops nothing."""

import asyncio
import http.client
import json
import time
from contextlib import closing

import openai
import pytest

from lib.decode.batching import Engine, generate
from lib.decode.cache import ContiguousCache, Shape
from lib.decode.llama import Llama
from lib.decode.requests import Request
from tests.decode.server.conftest import BLOCKS, serving

HAMLET = "To be, or not to be, that is the question"
CHAT = [{"role": "user", "content": "Who is there?"}]


@pytest.fixture
def client(server):
    with openai.OpenAI(base_url=f"{server[0]}/v1", api_key="none", max_retries=0) as c:
        yield c


def plainly(address, method, path, body=None):
    """Status, headers and text of a request that no client's library makes."""
    with closing(http.client.HTTPConnection(address.removeprefix("http://"))) as wire:
        wire.request(method, path, body)
        reply = wire.getresponse()
        return reply.status, reply.headers, reply.read().decode()


def settled(engine):
    """Wait until nobody is at work, and see that no block is held."""
    while engine.busy:
        time.sleep(0.01)
    assert len(engine.cache.unused) == BLOCKS and not engine.cache.tables


def alone(model, tokens, new, **how):
    engine = Engine(Llama(model), ContiguousCache(Shape.of(model)))
    return generate(engine, [Request(tuple(tokens), new, **how)])[0]


def test_a_completion_is_what_the_engine_writes(client, server, model, tokenizer):
    done = client.completions.create(
        model="small", prompt=HAMLET, max_tokens=12, temperature=0
    )
    tokens = tokenizer(HAMLET).input_ids
    written = alone(model, tokens, 12)
    assert done.choices[0].text == tokenizer.decode(written)
    assert done.choices[0].finish_reason == "length"
    counted = done.usage
    assert (counted.prompt_tokens, counted.completion_tokens) == (len(tokens), 12)
    assert counted.total_tokens == len(tokens) + 12
    assert (done.object, done.model) == ("text_completion", "small")
    settled(server[1])


def test_a_chat_uses_the_models_own_form(client, model, tokenizer):
    done = client.chat.completions.create(
        model="small", messages=CHAT, max_tokens=8, temperature=0
    )
    prompt = tokenizer.apply_chat_template(
        CHAT, tokenize=True, add_generation_prompt=True, return_dict=False
    )
    assert done.choices[0].message.content == tokenizer.decode(alone(model, prompt, 8))
    assert done.choices[0].message.role == "assistant"
    assert done.usage.prompt_tokens == len(prompt)
    assert done.object == "chat.completion" and done.id.startswith("chatcmpl-")


def test_a_stream_is_the_answer_in_pieces(client, server):
    how = {"model": "small", "messages": CHAT, "max_tokens": 20, "seed": 5}
    whole = client.chat.completions.create(**how)
    pieces = list(
        client.chat.completions.create(
            **how, stream=True, stream_options={"include_usage": True}
        )
    )
    assert pieces[0].choices[0].delta.role == "assistant"
    text = "".join(p.choices[0].delta.content or "" for p in pieces[:-1])
    assert text == whole.choices[0].message.content
    assert pieces[-2].choices[0].finish_reason == "length"
    assert pieces[-1].choices == [] and pieces[-1].usage == whole.usage
    assert len({p.id for p in pieces}) == 1
    assert {p.object for p in pieces} == {"chat.completion.chunk"}
    settled(server[1])


def test_a_stream_ends_as_clients_expect(server):
    body = {"model": "small", "prompt": "x", "max_tokens": 3, "stream": True}
    _, headers, text = plainly(server[0], "POST", "/v1/completions", json.dumps(body))
    assert headers["Content-Type"].startswith("text/event-stream")
    lines = text.split("\n\n")
    assert lines[-2:] == ["data: [DONE]", ""]
    assert all(line.startswith("data: ") for line in lines[:-1])


def test_seeds_repeat_and_differ(client):
    def text(seed):
        done = client.completions.create(
            model="small", prompt=HAMLET, max_tokens=10, seed=seed
        )
        return done.choices[0].text

    assert text(1) == text(1)
    assert len({text(seed) for seed in range(4)}) == 4


def test_several_choices_and_several_prompts(client, tokenizer):
    prompts = [tokenizer(t).input_ids for t in ("One", "Two")]
    done = client.completions.create(model="small", prompt=prompts, n=2, max_tokens=5)
    assert [choice.index for choice in done.choices] == [0, 1, 2, 3]
    assert len({choice.text for choice in done.choices}) == 4
    assert done.usage.completion_tokens == 20
    greedy = client.completions.create(
        model="small", prompt=["One", "Two"], n=2, max_tokens=5, temperature=0
    )
    texts = [choice.text for choice in greedy.choices]
    assert texts[0] == texts[1] and texts[2] == texts[3]


def test_a_stop_sequence_ends_the_text_before_it(client, server):
    how = {"model": "small", "prompt": HAMLET, "max_tokens": 30, "temperature": 0}
    text = client.completions.create(**how).choices[0].text
    stop = text[len(text) // 2 :][:4]
    for stream in (False, True):
        done = client.completions.create(**how, stop=[stop], stream=stream)
        choices = [p.choices[0] for p in (done if stream else [done])]
        assert "".join(c.text for c in choices) == text[: text.index(stop)]
        assert choices[-1].finish_reason == "stop"
    settled(server[1])


def test_the_models_are_listed(client):
    assert [m.id for m in client.models.list()] == ["small"]
    assert client.models.retrieve("small").id == "small"
    with pytest.raises(openai.NotFoundError, match="`large` does not exist"):
        client.models.retrieve("large")


WRONG = {
    "temperature": ({"temperature": 3}, r"temperature is 3, and must be in"),
    "negative": ({"max_tokens": 0}, "max_tokens is 0"),
    "a text for a number": ({"top_p": "all"}, 'top_p is "all", and not'),
    "a truth for a number": ({"n": True}, "n is true, and not an integer"),
    "too many": ({"n": 17}, "n is 17"),
    "too long": ({"max_tokens": 1000}, "context is 256 tokens"),
    "log probabilities": ({"logprobs": 3}, "logprobs is not supported"),
    "a penalty": ({"presence_penalty": 0.5}, "presence_penalty is not supported"),
    "stops": ({"stop": ["a", "b", "c", "d", "e"]}, "up to 4 texts"),
    "an empty stop": ({"stop": [""]}, "none of them empty"),
    "options of no stream": ({"stream_options": {}, "stream": False}, None),
    "usage of no stream": (
        {"stream_options": {"include_usage": True}},
        "for streams only",
    ),
    "an unknown field": ({"extra_body": {"tempersture": 1}}, "tempersture"),
    "an empty prompt": ({"prompt": ""}, "the prompt has no tokens"),
    "tokens of another vocabulary": ({"prompt": [1 << 20]}, "token 1048576 is none"),
}


@pytest.mark.parametrize(("fields", "message"), WRONG.values(), ids=WRONG)
def test_a_bad_request_is_told_what_is_wrong(client, server, fields, message):
    how = {"model": "small", "prompt": "x", "max_tokens": 2} | fields
    if message is None:
        client.completions.create(**how)
        return
    with pytest.raises(openai.BadRequestError, match=message) as caught:
        client.completions.create(**how)
    assert caught.value.type == "invalid_request_error"
    assert caught.value.param in {*how, "tempersture", "prompt"}
    assert client.completions.create(model="small", prompt="x").usage
    settled(server[1])


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([], "at least one message"),
        ([{"role": "tool", "content": "x"}], r"messages\[0\].role"),
        ([{"role": "user", "content": None}], r"messages\[0\].content is not text"),
        ([{"role": "user", "content": [{"type": "image_url"}]}], "content is not text"),
        (["hello"], r"messages\[0\] is not an object"),
    ],
)
def test_a_bad_message_is_told_what_is_wrong(client, messages, message):
    with pytest.raises(openai.BadRequestError, match=message):
        client.chat.completions.create(model="small", messages=messages)


def test_parts_of_a_message_are_joined(client):
    parts = [{"type": "text", "text": t} for t in ("Who is ", "there?")]
    how = {"model": "small", "max_tokens": 6, "temperature": 0}
    joined = [{"role": "user", "content": parts}]
    texts = {
        client.chat.completions.create(messages=m, **how).choices[0].message.content
        for m in (CHAT, joined)
    }
    assert len(texts) == 1


def test_another_model_is_not_found(client):
    with pytest.raises(openai.NotFoundError, match="this server has `small`") as caught:
        client.completions.create(model="gpt-5", prompt="x")
    assert caught.value.code == "model_not_found"


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v1/completions", b"{", 400),
        ("POST", "/v1/completions", b"[]", 400),
        ("POST", "/v1/completions", b"\xff", 400),
        ("POST", "/v1/completions", b"[" * 100_000, 400),
        (
            "POST",
            "/v1/completions",
            b'{"model": "small", "prompt": "x", "n": NaN}',
            400,
        ),
        ("POST", "/v1/completions", b'{"prompt": "x"}', 400),
        ("GET", "/v1/completions", None, 405),
        ("POST", "/v1/embeddings", b"{}", 404),
        ("GET", "/", None, 404),
        ("GET", "/health", None, 200),
    ],
)
def test_whatever_comes_gets_a_status_and_a_sentence(
    server, method, path, body, status
):
    found, _, text = plainly(server[0], method, path, body)
    answer = json.loads(text)
    assert found == status
    assert status == 200 or set(answer["error"]) == {"message", "type", "param", "code"}


def test_a_full_house_says_so_at_once(model, tokenizer):
    with serving(model, tokenizer, places=2) as (address, engine):

        async def crowd():
            how = {"base_url": f"{address}/v1", "api_key": "none", "max_retries": 0}
            async with openai.AsyncOpenAI(**how) as client:
                ask = client.completions.create
                tasks = [
                    ask(model="small", prompt=HAMLET, max_tokens=200) for _ in range(8)
                ]
                return await asyncio.gather(*tasks, return_exceptions=True)

        answers = asyncio.run(crowd())
        refused = [a for a in answers if isinstance(a, openai.RateLimitError)]
        served = [a for a in answers if not isinstance(a, Exception)]
        assert len(refused) + len(served) == 8 and len(served) >= 2 and refused
        assert refused[0].response.headers["Retry-After"] == "1"
        settled(engine)


def test_fifty_at_once_some_of_whom_hang_up(server, model, tokenizer):
    address, engine = server
    tokens = tokenizer(HAMLET).input_ids

    async def one(client, number):
        prompt = tokens[: 1 + number % len(tokens)]
        how = {"model": "small", "prompt": prompt, "max_tokens": 20, "temperature": 0}
        if number % 5 == 4:
            stream = await client.completions.create(**how, stream=True)
            async for _ in stream:
                break
            await stream.close()
            return None
        if number % 2:
            stream = await client.completions.create(**how, stream=True)
            text = "".join([piece.choices[0].text async for piece in stream])
        else:
            done = await client.completions.create(**how)
            text = done.choices[0].text
        return tuple(prompt), text

    async def crowd():
        how = {"base_url": f"{address}/v1", "api_key": "none", "max_retries": 0}
        async with openai.AsyncOpenAI(**how) as client:
            return await asyncio.gather(*(one(client, n) for n in range(50)))

    answers = [a for a in asyncio.run(crowd()) if a]
    assert len(answers) == 40
    for prompt, text in dict(answers).items():
        assert text == tokenizer.decode(alone(model, prompt, 20))
    settled(engine)


def test_who_hangs_up_before_the_answer_frees_the_place(server):
    address, engine = server
    body = {"model": "small", "prompt": HAMLET, "max_tokens": 200}
    address = address.removeprefix("http://")
    with closing(http.client.HTTPConnection(address)) as wire:
        wire.request("POST", "/v1/completions", json.dumps(body))
        while not engine.passes:
            time.sleep(0.001)
    settled(engine)
    assert engine.passes < 200, "it wrote on for nobody"


def test_a_pass_that_fails_ends_only_what_was_in_it(client, server, monkeypatch):
    engine = server[1]
    with monkeypatch.context() as broken:
        broken.setattr(engine.llama, "blocks", [None])
        with pytest.raises(openai.InternalServerError, match="the model's pass failed"):
            client.completions.create(model="small", prompt="x")
    settled(engine)
    assert client.completions.create(model="small", prompt="x").usage
