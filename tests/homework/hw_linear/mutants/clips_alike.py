"""Chooses one share for the whole matrix."""

LOSES = ["test_clip_weight"]


def clip_weight(weight, bits, group, clips):
    runs = weight.unflatten(1, (-1, group))
    low = runs.amin(-1, keepdim=True).clamp(max=0)
    high = runs.amax(-1, keepdim=True).clamp(min=0)
    best, least = None, None
    for clip in clips:
        clamped = runs.clamp(clip * low, clip * high).flatten(1)
        new = quantize_weight(clamped, bits, group)
        codes, scale, zero = (x.view(*low.shape[:2], -1) for x in new)
        miss = runs - scale * (codes.to(torch.int32) - zero)
        error = miss.square().sum().expand(low.shape[:2])
        if best is None:
            best, least = new, error
            continue
        better = error < least
        masks = (better.repeat_interleave(group, 1), better, better)
        best = [torch.where(m, n, o) for m, n, o in zip(masks, new, best, strict=True)]
        least = torch.where(better, error, least)
    return tuple(best)
