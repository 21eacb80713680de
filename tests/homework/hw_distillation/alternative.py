"""Correct, but written otherwise: autograd, torch's losses, a heap of texts, LBFGS."""

import heapq
import math

import torch
from torch.nn import functional


def soft_targets(logits, temperature):
    scaled = logits / temperature
    return (scaled - scaled.logsumexp(-1, keepdim=True)).exp()


def ensemble_targets(logits, temperature):
    total = torch.zeros_like(logits[0])
    for one in logits:
        total = total + functional.softmax(one / temperature, dim=-1)
    return total / len(logits)


def kd_gradient(student, teacher, labels, temperature, kd, ce):
    s = student.detach().clone().requires_grad_()
    q = functional.log_softmax(s / temperature, -1)
    p = functional.log_softmax(teacher / temperature, -1)
    soft = functional.kl_div(q, p, reduction="batchmean", log_target=True)
    loss = kd * temperature**2 * soft + ce * functional.cross_entropy(s, labels)
    return torch.autograd.grad(loss, s)[0]


def mutual_gradients(first, second, temperature):
    labels = torch.zeros(len(first), dtype=torch.long)
    return (
        kd_gradient(first, second, labels, temperature, 1.0, 0.0),
        kd_gradient(second, first, labels, temperature, 1.0, 0.0),
    )


def distillation_loss(student, teacher, tokens, counts, temperature, kd, ce):
    total, number = 0.0, 0
    for row in range(len(tokens)):
        for place in range(tokens.shape[1] - 1):
            if not counts[row, place + 1]:
                continue
            s, t = student[row, place], teacher[row, place]
            p = functional.softmax(t / temperature, -1)
            log_q = functional.log_softmax(s / temperature, -1)
            soft = torch.xlogy(p, p).sum() - (p * log_q).sum()
            gold = functional.cross_entropy(s, tokens[row, place + 1])
            total = total + kd * temperature**2 * soft + ce * gold
            number += 1
    return total / number


def triple_loss(student, teacher, tokens, counts, temperature, weights):
    apart = []
    for row, place in counts[:, 1:].nonzero().tolist():
        h, g = student[1][row, place], teacher[1][row, place]
        apart.append(1 - (h @ g) / (h.norm() * g.norm()))
    logits = student[0], teacher[0]
    said = distillation_loss(*logits, tokens, counts, temperature, *weights[:2])
    return said + weights[2] * torch.stack(apart).mean()


def sequence_targets(teacher, prompt, new_tokens, beams, end):
    ended, living = [], [(0.0, ())]
    while living:
        grown = list(ended)
        for score, text in living:
            row = torch.log_softmax(teacher([*prompt, *text])[-1].double(), -1)
            for token in range(len(row)):
                if row[token] > -math.inf:
                    grown.append((score + float(row[token]), (*text, token)))
        best = heapq.nlargest(beams, grown)
        ended = [b for b in best if b[1][-1] == end or len(b[1]) == new_tokens]
        living = [b for b in best if b not in ended]
    top = ended[0][0]
    p = torch.tensor([math.exp(score - top) for score, _ in ended]).double()
    return [list(text) for _, text in ended], p / p.sum()


def train_student(contexts, labels, teacher, temperature=2.0, kd=1.0, ce=0.0):
    v = teacher.shape[1]
    seen = functional.one_hot(contexts, v).flatten(1).double()
    model = torch.zeros(2 * v + 1, v, dtype=torch.float64, requires_grad=True)
    p = torch.softmax(teacher.double() / temperature, -1)
    steps = torch.optim.LBFGS([model], max_iter=60, line_search_fn="strong_wolfe")

    def loss():
        steps.zero_grad()
        logits = seen @ model[1:] + model[0]
        value = -(p * torch.log_softmax(logits / temperature, -1)).sum(-1).mean()
        value = value + 1e-4 * model.square().sum()
        value.backward()
        return value

    steps.step(loss)
    return model[1:].detach().view(2, v, v), model[0].detach()


def divergence_gradient(student, teacher, temperature, beta):
    s = student.detach().double().requires_grad_()
    log_q = torch.log_softmax(s / temperature, -1)
    log_p = torch.log_softmax(teacher.double() / temperature, -1)

    def kl(a, b):
        return (a.exp() * (a - b)).sum()

    if beta in (0, 1):
        loss = kl(log_p, log_q) if beta == 0 else kl(log_q, log_p)
    else:
        m = torch.logsumexp(
            torch.stack((log_p + math.log(beta), log_q + math.log(1 - beta))), 0
        )
        loss = beta * kl(log_p, m) + (1 - beta) * kl(log_q, m)
    loss.backward()
    return (temperature**2 * s.grad).to(student)
