"""The records of a run in words."""

import pytest

from minigan.log import describe

WHOLE = {"kind": "eval", "step": 1, "fid": 3.0, "floor": 1.5, "samples": 5000, "kid": 0.01, "kid_std": 0.002}


def test_an_evaluation_is_one_line():
    record = {**WHOLE, "precision": 0.6, "recall": 0.5, "classes": 9, "confident": 0.97, "label_accuracy": 0.99}
    assert describe(record) == (
        "FID 3.0 (2.0 × real against real) of 5,000 samples; KID 0.01 ± 0.002; precision 0.60, recall 0.50; "
        "9 classes, 97.0 % confident; 99.0 % of the class asked for"
    )
    assert describe({"kind": "eval", "step": 1}) == "no figures"
    assert "(inf × real against real)" in describe({**WHOLE, "floor": 0.0})
    assert describe({**WHOLE, "kid_std": 0.0}).endswith("KID 0.01")  # of one subset, which has no spread


@pytest.mark.parametrize("without", ["floor", "samples", "kid", "kid_std"])
def test_what_a_record_lacks_is_left_out(without):
    """A damaged line of the log loses the fields that it lacks, and an older run never had them."""
    said = describe({name: value for name, value in WHOLE.items() if name != without})
    assert said.startswith("FID 3.0")
    assert ("real against real" in said, "samples" in said) == (without != "floor", without != "samples")
    assert ("KID" in said) == (not without.startswith("kid"))
