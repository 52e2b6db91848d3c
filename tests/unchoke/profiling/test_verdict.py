"""A step is named where the run gains from its absence beyond the noise of the rounds."""

import pytest

from unchoke.profiling.verdict import bottleneck_of, gain_of, noise_of, verdict

WHOLE = [0.010, 0.012, 0.008]


def test_gains_are_medians_of_rates_in_the_same_round() -> None:
    gain = gain_of("decode", WHOLE, [0.005, 0.004, 0.004])
    assert (gain.times, gain.images_per_s, gain.saved_s) == pytest.approx((2.0, 250.0, 0.005))
    assert (gain.low, gain.spread) == pytest.approx((2.0, 0.5))


def test_the_largest_gain_is_named_with_what_a_setting_gives() -> None:
    gains = [gain_of("read", WHOLE, [0.008, 0.009, 0.006]), gain_of("decode", WHOLE, [0.005, 0.006, 0.004])]
    found = verdict(gains, 100, 1.1, {"decode": gain_of("JPEG draft", WHOLE, [0.005, 0.008, 0.005])})
    assert found == (
        "decode is the bottleneck; without it at most 2.00 × (100 to 200 images/s, ± 0.00); "
        "JPEG draft gives 1.60 × of that."
    )


def test_no_step_is_named_within_the_noise() -> None:
    gains = [gain_of("read", WHOLE, [0.008, 0.010, 0.0066])]
    noise = noise_of(gain_of("again", WHOLE, [0.007, 0.009, 0.010]))
    assert noise == pytest.approx((1.2 / 0.9 + 1 / 0.7) / 2)
    assert bottleneck_of(gains, noise) is None
    assert verdict(gains, 100, noise, {}).startswith("No step alone is the bottleneck at 100 images/s")
    assert bottleneck_of(gains, 1.1) is gains[0]
