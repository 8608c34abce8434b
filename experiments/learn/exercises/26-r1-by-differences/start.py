def r1_by_differences(logits, moved, s):
    slope = moved - logits
    return (slope * slope).mean()
