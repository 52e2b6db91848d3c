"""The demo of text is what it promises: words that can be seen where its files say, and planted flaws."""

import numpy as np
import pytest
import shapely
from PIL import Image

from unchoke.polygons.mend import CROSSES, OUTSIDE, mend
from unchoke.sources.kinds import words
from unchoke.sources.kinds.words import draw_words, write_words
from unchoke.sources.source import list_images, listing_digest, prerequisites


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("words")
    write_words(folder)
    return folder


def test_there_are_64_canvases_and_the_flaws_are_planted(demo):
    found = words.read_words(demo)
    assert len(found) == words.SOUND + 4 == len(list_images("words", demo).images)
    assert {image.label for image in list_images("words", demo).images} == {"text"}
    assert found["images/no-words.png"].words == []
    assert all(word.ignored for word in found["images/all-ignored.png"].words)
    reasons = [mend(word, 512, 640).reason for word in found["images/flawed-lines.png"].words[-4:]]
    assert [reason.partition(",")[0] for reason in reasons] == ["7 numbers", "2 numbers", CROSSES, OUTSIDE]
    with pytest.raises(OSError, match="truncated"):
        Image.open(demo / "images/cut-short.png").load()


def test_every_other_word_needs_no_mending_and_touches_no_other(demo):
    sizes = []
    for image, found in words.read_words(demo).items():
        sound = found.words[:-4] if "flawed" in image else found.words
        assert all(mend(word, 512, 640) == ([word.corners], "") for word in sound)
        outlines = [shapely.Polygon(word.corners) for word in sound]
        assert not any(one.intersects(other) for place, one in enumerate(outlines) for other in outlines[:place])
        sizes += [len(word.corners) for word in sound]
    assert set(sizes) == {4, 14} and 0.2 < sizes.count(14) / len(sizes) < 0.4


def test_words_are_seen_where_their_outlines_are(demo):
    """Ink differs from its surroundings within the outline alone: there the grey values spread more."""
    found = words.read_words(demo)
    for number in range(0, words.SOUND, 6):
        name = f"images/{number:03d}.png"
        grey_HW = np.asarray(Image.open(demo / name), float)
        x_HW, y_HW = np.meshgrid(np.arange(640) + 0.5, np.arange(512) + 0.5)
        for word in found[name].words:
            inside = shapely.contains_xy(shapely.Polygon(word.corners), x_HW, y_HW)
            assert grey_HW[inside].std() > (8 if word.ignored else 20)


def test_a_tenth_of_the_words_is_ignored(demo):
    all_words = [word for found in words.read_words(demo).values() for word in found.words]
    assert 0.05 < np.mean([word.ignored for word in all_words]) < 0.2


def test_the_same_seed_draws_the_same_canvas():
    first, second = (draw_words(np.random.default_rng(7), 2) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    assert first[1] == second[1] and len(first[1]) == 2


def test_the_listing_is_known_before_there_are_files(demo, tmp_path):
    assert prerequisites("words", demo) == [str(demo / "words.json")]
    assert listing_digest("words", tmp_path / "gone") == listing_digest("words", demo)
