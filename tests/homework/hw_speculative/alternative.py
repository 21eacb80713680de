"""Correct, but written otherwise: plain lists, p / q without a minimum, own draws."""

import math
import random

import torch


def accept_greedy(draft, target_logits):
    kept = []
    for row in target_logits:
        kept.append(int(row.argmax()))
        if len(kept) > len(draft) or draft[len(kept) - 1] != kept[-1]:
            break
    return kept


def generate(target, draft, prompt, new_tokens, gamma, end):
    new = []
    while len(new) < new_tokens and end not in new:
        text = [*prompt, *new]
        count = min(gamma, new_tokens - len(new))  # one too many, and harmless
        while len(text) < len(prompt) + len(new) + count:
            text = [*text, draft(text)[-1].argmax().item()]
        guess = text[len(prompt) + len(new) :]
        rows = target(text)[-len(guess) - 1 :]
        new += accept_greedy(guess, rows)
        new = new[:new_tokens]
    return new[: new.index(end) + 1] if end in new else new


def expected_tokens(alpha, gamma):
    if alpha == 1:
        return gamma + 1.0
    return (1 - alpha ** (gamma + 1)) / (1 - alpha)


def best_gamma(alpha, draft_time, pass_times):
    best, speed = 0, 0.0
    for gamma, time in enumerate(pass_times):
        now = expected_tokens(alpha, gamma) / (gamma * draft_time + time)
        if now > speed:
            best, speed = gamma, now
    return best


def verify(draft, p, q, u):
    p, q = p.tolist(), q.tolist()
    for n, x in enumerate(draft):
        if p[n][x] / q[n][x] > u[n]:
            continue
        left = [max(a - b, 0.0) for a, b in zip(p[n], q[n], strict=True)]
        total = math.fsum(left)
        law = [x / total for x in left] if total else p[n]
        return n, torch.tensor(law, dtype=torch.float64)
    return len(draft), torch.tensor(p[len(draft)], dtype=torch.float64)


def sample(target, draft, prompt, new_tokens, gamma, temperature, seed):
    torch_generator = torch.Generator().manual_seed(seed)
    start = int(torch.randint(2**31, (), generator=torch_generator))
    chance = random.Random(start)
    new = []
    while len(new) < new_tokens:
        guess, q = [], []
        for _ in range(min(gamma, new_tokens - len(new) - 1)):
            q.append(weights(draft([*prompt, *new, *guess])[-1], temperature))
            guess += chance.choices(range(len(q[-1])), q[-1])
        rows = target([*prompt, *new, *guess])[-len(guess) - 1 :]
        p = torch.tensor([weights(row, temperature) for row in rows]).double()
        shape = (len(guess), p.shape[1])
        q = torch.tensor(q, dtype=torch.float64).view(shape)
        u = torch.tensor([chance.random() for _ in guess], dtype=torch.float64)
        n, law = verify(guess, p, q, u)
        new += guess[:n] + chance.choices(range(len(law)), law.tolist())
    return new


def weights(row, temperature):
    powers = [math.exp((z - row.max().item()) / temperature) for z in row.tolist()]
    return [power / sum(powers) for power in powers]
