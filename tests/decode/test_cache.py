"""In any order of arrivals, ends, forks and rejections it holds what was written."""

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from lib.decode.cache import ContiguousCache, Full, Shape
from lib.decode.kivi import KIVI
from lib.decode.paged import BLOCK, PagedCache

SHAPE = Shape(layers=2, heads=1, channels=1)
BLOCKS = 12
COUNTS = st.integers(1, 2 * BLOCK + 3)
TOKENS = st.integers(0, 1)  # few, so that texts begin alike


class Caches(RuleBasedStateMachine):
    """A token's key is a function of the text up to it, as a model's is."""

    LARGEST = 1000.0  # of a key, whose step is then at most 1000 / 255

    def __init__(self):
        super().__init__()
        self.contiguous = ContiguousCache(SHAPE)
        self.paged = self.cache()
        self.texts: dict[int, list[int]] = {}
        self.sealed: dict[int, int] = {}  # tokens that may have been rounded
        self.cuts = 0  # after each a block may be opened, and rounded once more
        self.number = 0

    def cache(self):
        return PagedCache(SHAPE, BLOCKS)

    def rounded(self, sequence):
        """How many tokens from its beginning may not be what was written, and how far
        off."""
        return 0, 0.0

    @staticmethod
    def keys(text):
        code, found = 0, []
        for token in text:
            code = (code * 31 + token + 1) % 1000
            found.append(float(code))
        return torch.tensor(found)

    def fill(self, cache, sequence, count):
        """Write the last `count` tokens, and read the whole sequence."""
        text = self.texts[sequence]
        for layer in range(SHAPE.layers):
            k = (self.keys(text)[len(text) - count :] + layer)[:, None, None]
            cache.write(layer, k, -k)
        self.reads(cache, [sequence])

    def reads(self, cache, sequences):
        for layer in range(SHAPE.layers):
            keys, values, lengths = cache.read(layer, sequences)
            for i, sequence in enumerate(sequences):
                want = self.keys(self.texts[sequence]) + layer
                assert lengths[i] == len(want)
                count, most = self.rounded(sequence) if cache is self.paged else (0, 0)
                for held in (keys, -values):
                    error = (held[i, : lengths[i]].flatten() - want).abs()
                    assert not error[count:].any()
                    assert (error[:count] <= most).all()
            assert keys.isfinite().all() and values.isfinite().all()

    def grow(self, sequence, tokens):
        """Both caches, or neither; the paged one is told the text."""
        try:
            self.paged.extend({sequence: len(tokens)})
        except Full:
            return False
        full = self.paged.length(sequence) - len(tokens)
        self.sealed[sequence] = max(self.sealed.get(sequence, 0), full // BLOCK * BLOCK)
        self.contiguous.extend({sequence: len(tokens)})
        self.texts[sequence] = self.texts.get(sequence, []) + tokens
        for cache in (self.contiguous, self.paged):
            self.fill(cache, sequence, len(tokens))
        self.paged.tell(sequence, self.texts[sequence])
        return True

    @rule(tokens=st.lists(TOKENS, min_size=2, max_size=3 * BLOCK))
    def begin(self, tokens):
        self.number += 1
        known = self.sealed[self.number] = self.paged.begin(self.number, tokens)
        assert known % BLOCK == 0 and known < len(tokens)
        if known:
            self.contiguous.extend({self.number: known})
            self.texts[self.number] = tokens[:known]
            self.fill(self.contiguous, self.number, known)
        self.grow(self.number, tokens[known:])

    @precondition(lambda self: self.texts)
    @rule(data=st.data(), tokens=st.lists(TOKENS, min_size=1, max_size=BLOCK + 2))
    def go_on(self, data, tokens):
        self.grow(data.draw(st.sampled_from(sorted(self.texts))), tokens)

    @precondition(lambda self: self.texts)
    @rule(data=st.data())
    def reject(self, data):
        sequence = data.draw(st.sampled_from(sorted(self.texts)))
        length = data.draw(st.integers(0, len(self.texts[sequence])))
        for cache in (self.contiguous, self.paged):
            cache.truncate(sequence, length)
        full = len(self.texts[sequence]) // BLOCK * BLOCK  # others may seal these yet
        self.sealed[sequence] = min(max(self.sealed[sequence], full), length)
        self.cuts += 1
        del self.texts[sequence][length:]
        if not length:
            del self.texts[sequence]

    @precondition(lambda self: self.texts)
    @rule(data=st.data())
    def fork(self, data):
        sequence = data.draw(st.sampled_from(sorted(self.texts)))
        self.number += 1
        self.paged.fork(sequence, self.number)
        self.texts[self.number] = list(self.texts[sequence])
        self.sealed[self.number] = self.sealed[sequence]
        self.contiguous.extend({self.number: len(self.texts[sequence])})
        self.fill(self.contiguous, self.number, len(self.texts[sequence]))

    @precondition(lambda self: self.texts)
    @rule(data=st.data())
    def end(self, data):
        sequence = data.draw(st.sampled_from(sorted(self.texts)))
        for cache in (self.contiguous, self.paged):
            cache.free(sequence)
        del self.texts[sequence]

    @invariant()
    def no_block_is_leaked_or_used_twice(self):
        used = [b for table in self.paged.tables.values() for b in table.blocks]
        assert {b: used.count(b) for b in used} == dict(self.paged.readers)
        assert sorted({*used, *self.paged.unused}) == list(range(BLOCKS))
        assert not set(used) & set(self.paged.unused)
        for sequence, text in self.texts.items():
            table = self.paged.tables[sequence]
            assert len(table.blocks) == -(-len(text) // BLOCK)

    @invariant()
    def every_sequence_is_whole(self):
        for cache in (self.contiguous, self.paged):
            assert all(cache.length(s) == len(t) for s, t in self.texts.items())
            if self.texts:
                self.reads(cache, list(self.texts))

    @invariant()
    def what_is_found_says_what_it_should(self):
        assert {b: p for p, b in self.paged.found.items()} == self.paged.says


class QuantizedCaches(Caches):
    """The same texts, the same blocks; full ones moved by what rounding allows."""

    def cache(self):
        return PagedCache(SHAPE, BLOCKS, KIVI(bits=8).blocks)

    def rounded(self, sequence):
        half = (0.5 + 255 / 2**11) * self.LARGEST / 255  # kivi.py has the bound
        full = len(self.texts[sequence]) // BLOCK * BLOCK  # others may have sealed it
        return max(self.sealed[sequence], full), half * (1 + self.cuts)

    @invariant()
    def a_slot_is_of_one_block_that_is_in_use(self):
        memory = self.paged.blocks
        taken = [slot for slot in memory.slot.tolist() if slot >= 0]
        assert sorted([*taken, *memory.spare]) == list(range(memory.keys.shape[1]))
        open_ones = set((memory.slot >= 0).nonzero().flatten().tolist())
        assert open_ones <= set(self.paged.readers)
        assert not open_ones & set(self.paged.says)


for machine, examples in ((Caches, 60), (QuantizedCaches, 30)):
    machine.TestCase.settings = settings(max_examples=examples, stateful_step_count=30)
TestCaches = Caches.TestCase
TestQuantizedCaches = QuantizedCaches.TestCase


def test_room_is_given_to_all_or_to_none():
    cache = PagedCache(SHAPE, 3)
    with pytest.raises(Full, match="4 blocks are needed, and 3 are unused"):
        cache.extend({1: 2 * BLOCK, 2: BLOCK + 1})
    assert not cache.tables and len(cache.unused) == 3
    cache.extend({1: 2 * BLOCK, 2: BLOCK})


def test_texts_that_begin_alike_share_and_pay_once():
    cache, text = PagedCache(SHAPE, 8), list(range(40))
    cache.extend({1: 40})
    cache.tell(1, text)
    assert cache.begin(2, text) == 0, "what is not computed yet was shared"
    cache.extend({1: 1})
    assert cache.begin(3, text) == 32
    assert cache.begin(4, text[:32]) == 16, "the last token's logits are wanted"
    assert cache.begin(5, [9, *text[1:]]) == 0
    assert len(cache.unused) == 8 - 3
    for sequence in (1, 3, 4):
        cache.free(sequence)
    assert len(cache.unused) == 8
    assert cache.begin(6, text) == 32, "a text that has ended is still known"


def test_a_block_that_was_reused_is_not_found_by_its_old_text():
    """A text's end is given up before its beginning, which more texts share."""
    cache, text = PagedCache(SHAPE, 2), list(range(40))
    cache.extend({1: 32})
    cache.tell(1, text)
    cache.free(1)
    for sequence, known in ((2, 16), (3, 0)):
        cache.extend({sequence: 16 * (sequence - 1)})
        cache.free(sequence)
        assert cache.begin(4, text) == known
        cache.free(4)


def test_bytes_of_a_token(small_llama):
    model = small_llama(num_attention_heads=4, num_key_value_heads=2)
    shape = Shape.of(model)
    assert shape.token_bytes == 2 * 2 * 2 * 4 * 4
    cache = PagedCache(shape, 5)
    assert cache.blocks.nbytes == 5 * BLOCK * shape.token_bytes
    assert cache.capacity == 5 * BLOCK


@pytest.mark.parametrize("cache", [ContiguousCache(SHAPE), PagedCache(SHAPE, 4)])
def test_what_cannot_be_is_refused(cache):
    cache.extend({1: 5})
    for length in (6, -1):
        with pytest.raises(ValueError, match=f"length={length} of a sequence of 5"):
            cache.truncate(1, length)
    cache.truncate(2, 0)
    cache.free(2)
    assert cache.length(2) == 0


def test_sequences_begin_once():
    cache = PagedCache(SHAPE, 4)
    cache.extend({1: 20})
    with pytest.raises(ValueError, match="sequence 1 has begun"):
        cache.begin(1, [1, 2])
    for pair in ((1, 1), (2, 3)):
        with pytest.raises(ValueError, match="must exist"):
            cache.fork(*pair)
    with pytest.raises(ValueError, match="a cache of 0 blocks"):
        PagedCache(SHAPE, 0)
