def r1_by_differences(logits, moved, s):
    slope = (moved - logits) / s
    return (slope * slope).mean()
