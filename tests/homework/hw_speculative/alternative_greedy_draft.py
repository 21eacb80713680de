"""Correct: a greedy draft, whose q has all its mass on the guess; E by recursion."""

import numpy as np
import torch


def accept_greedy(draft, target_logits):
    best = np.argmax(target_logits.numpy(), -1).tolist()
    differ = [n for n, token in enumerate(draft) if token != best[n]]
    return best[: min([*differ, len(draft)]) + 1]


def expected_tokens(alpha, gamma):
    kept = 1.0
    for _ in range(gamma):
        kept = 1 + alpha * kept
    return kept


def best_gamma(alpha, draft_time, pass_times):
    kept = torch.tensor([expected_tokens(alpha, n) for n in range(len(pass_times))])
    times = torch.tensor(pass_times).double()
    times += draft_time * torch.arange(len(pass_times))
    return int((times / kept.double()).argmin())


def verify(draft, p, q, u):
    rows = torch.arange(len(draft))
    guess = torch.tensor(draft, dtype=torch.int64)
    refused = u * q[rows, guess] >= p[rows, guess]
    n = int(refused.nonzero()[0]) if refused.any() else len(draft)
    if n == len(draft):
        return n, p[-1]
    left = p[n] - torch.minimum(p[n], q[n])
    return n, left / left.sum() if left.sum() > 0 else p[n]


def sample(target, draft, prompt, new_tokens, gamma, temperature, seed):
    chance = torch.Generator().manual_seed(seed)
    text = list(prompt)
    left = new_tokens
    while left:
        guess = []
        for _ in range(min(gamma, left - 1)):
            guess.append(int(draft(text + guess)[-1].argmax()))
        logits = target(text + guess)[-len(guess) - 1 :].double()
        p = (logits / temperature).softmax(-1)
        q = torch.nn.functional.one_hot(torch.tensor(guess).long(), p.shape[1])
        u = torch.rand(len(guess), generator=chance, dtype=torch.float64)
        n, law = verify(guess, p, q.double(), u)
        new = [*guess[:n], int(torch.multinomial(law, 1, generator=chance))]
        text, left = text + new, left - len(new)
    return text[len(prompt) :]
