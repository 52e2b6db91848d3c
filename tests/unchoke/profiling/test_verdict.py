"""A step is named where the run gains from its absence beyond the noise of the rounds."""

import pytest

from unchoke.profiling.verdict import bottleneck_of, gain_of, noise_of, verdict

WHOLE = [0.010, 0.012, 0.008]
READ, DECODE = gain_of("read", WHOLE, [0.008, 0.009, 0.006]), gain_of("decode", WHOLE, [0.005, 0.006, 0.004])


def test_gains_are_medians_of_rates_in_the_same_round() -> None:
    gain = gain_of("decode", WHOLE, [0.005, 0.004, 0.004])
    assert (gain.times, gain.images_per_s, gain.saved_s) == pytest.approx((2.0, 200.0, 0.005))
    assert (gain.low, gain.spread) == pytest.approx((2.0, 0.5))


@pytest.mark.parametrize(
    ("draft", "said"),
    [
        ([0.005, 0.008, 0.005], "; JPEG draft gives 1.60 × of that."),
        ([0.004, 0.004, 0.002], "; JPEG draft gives 3.00 ×, as other steps get faster with it."),
        ([0.010, 0.012, 0.008], "."),
    ],
)
def test_the_largest_gain_is_named_with_what_a_setting_gives(draft: list[float], said: str) -> None:
    found = verdict([READ, DECODE], 100, 1.1, {"decode": gain_of("JPEG draft", WHOLE, draft)})
    assert found == f"decode is the bottleneck; without it at most 2.00 × (100 to 200 images/s, ± 0.00){said}"


def test_no_step_is_named_within_the_noise() -> None:
    gains = [gain_of("read", WHOLE, [0.008, 0.010, 0.0066])]
    noise = noise_of(gain_of("again", WHOLE, [0.007, 0.009, 0.010]))
    assert noise == pytest.approx((1.2 / 0.9 + 1 / 0.7) / 2)
    assert bottleneck_of(gains, noise) is None
    assert bottleneck_of(gains, 1.1) is gains[0]
    draft = gain_of("JPEG draft", WHOLE, [0.002, 0.002, 0.001])
    assert verdict(gains, 99.9, noise, {"read": draft}) == (
        "No step alone is the bottleneck: the most that one would give is 1.21 × (read, 99.9 to 121 images/s; "
        "quartiles 1.21 to 1.23, noise to 1.38); JPEG draft gives 6.00 ×, as other steps get faster with it."
    )
