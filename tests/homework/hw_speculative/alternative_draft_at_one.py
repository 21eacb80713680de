"""Correct: the draft draws at its own temperature, and q is what it drew from."""

import torch


def accept_greedy(draft, target_logits):
    best = target_logits.max(-1).indices
    guess = torch.tensor(draft, dtype=torch.int64)
    same = (guess == best[:-1]).long().cumprod(0).sum()
    return [*draft[:same], int(best[same])]


def generate(target, draft, prompt, new_tokens, gamma, end):
    text, room = [*prompt], len(prompt) + new_tokens
    while len(text) < room:
        guess = []
        while len(guess) < min(gamma, room - len(text) - 1) and end not in guess:
            guess.append(draft([*text, *guess])[-1].argmax().item())
        for token in accept_greedy(guess, target(text + guess)[len(text) - 1 :]):
            text.append(token)
            if token == end:
                return text[len(prompt) :]
    return text[len(prompt) :]


def verify(draft, p, q, u):
    n = 0
    while n < len(draft) and u[n] < (p[n] / q[n].clamp(min=1e-300))[draft[n]]:
        n += 1
    if n == len(draft):
        return n, p[n]
    left = torch.relu(p[n] - q[n])
    return n, torch.where(left.sum() > 0, left / left.sum(), p[n])


def sample(target, draft, prompt, new_tokens, gamma, temperature, seed):
    chance = torch.Generator().manual_seed(seed)
    text, room = [*prompt], len(prompt) + new_tokens
    while len(text) < room:
        guess, q = [], []
        while len(guess) < min(gamma, room - len(text) - 1):
            q.append(draft(text + guess)[-1].double().softmax(-1))  # T = 1
            guess += torch.multinomial(q[-1], 1, generator=chance).tolist()
        logits = target(text + guess)[len(text) - 1 :].double()
        p = torch.softmax(logits / temperature, -1)
        u = torch.rand(len(guess), generator=chance).double()
        n, law = verify(guess, p, torch.stack(q) if q else p[:0], u)
        text += guess[:n]
        text += torch.multinomial(law, 1, generator=chance).tolist()
    return text[len(prompt) :]
