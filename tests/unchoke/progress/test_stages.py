"""Stages: every rule of the workflow has one, or is known to need none."""

import re
from pathlib import Path

import pytest

from unchoke.progress.lines import WORDS_WIDTH
from unchoke.progress.stages import PAGES, SPEAKING, STAGES, stage_of

RULES = Path(__file__).parents[3] / "workflow/rules"
NAMES = sorted(
    {
        name.strip("_{")
        for file in RULES.glob("*.smk")
        for name in re.findall(
            r'^ *(?:rule|checkpoint|use rule \w+ as) (\w+)|name:\s+f"(\w+?)_\{', file.read_text(), re.M
        )
        for name in name
        if name
    }
)


@pytest.mark.parametrize("rule", NAMES)
def test_every_rule_of_the_workflow_has_a_stage_of_the_list(rule: str) -> None:
    assert (stage_of(rule) is None) == (rule in PAGES)
    assert stage_of(rule) in {None, *STAGES}


def test_rules_were_found_in_all_their_forms() -> None:
    assert {"build_manifest", "train_head", "train_repeat", "extract_chunk", "choose_network", "verify"} <= set(NAMES)


def test_the_name_of_a_store_does_not_change_the_stage() -> None:
    assert stage_of("extract_chunk_draw") == stage_of("extract_chunk") != stage_of("draw_head")


def test_a_rule_of_others_is_a_stage_of_its_own() -> None:
    stage = stage_of("align_reads")
    assert stage and stage.words == "align reads" and stage not in STAGES
    assert stage_of("all") is None


def test_jobs_that_measure_are_counted_though_they_speak_for_themselves() -> None:
    measuring = {stage.words: set(stage.rules) for stage in STAGES if set(SPEAKING) & set(stage.rules)}
    assert measuring == {"profiling": {"profile"}, "comparing pipelines": {"compare_pipelines"}}
    assert set(SPEAKING) > PAGES


def test_the_words_of_a_stage_leave_a_blank_before_its_jobs() -> None:
    assert [stage.words for stage in STAGES if len(stage.words) >= WORDS_WIDTH] == []
