"""Prompts and labels as tokens: equal to tokenising the whole text, and not injectable."""

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from tests.language_models import metaspace_tokenizer, write_tiny_llama
from training.errors import TeacherError
from training.teacher.causal.tokens import Tokens, model_tokens
from understudy.graph.prompts import Prompt

PROMPT = Prompt("Sort: sound; light.", "Kites climb.\nIt has 1 linked item.\n- the wind is steady")
TEMPLATE = (
    "{{ bos_token }}{% for m in messages %}<turn>{{ m.role }}\n{{ m.content | trim }}</turn>\n"
    "{% endfor %}{% if add_generation_prompt %}<turn>assistant\n{% endif %}"
)


@pytest.fixture(params=["bytes", "metaspace"])
def tokenizer(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    if request.param == "metaspace":
        return metaspace_tokenizer(["sound", "light"])
    return AutoTokenizer.from_pretrained(write_tiny_llama(tmp_path / "llama", ["sound", "light"]))


def joined(tokens: Tokens, prompt: Prompt, label: str = "") -> list[int]:
    row = tokens.rows([prompt], 999)[0]
    answer = tokens.label(label) if label else ()
    return [*row.head, *row.body, *tokens.tail(prompt), *answer]


@pytest.mark.parametrize("label", ["sound", "light", "linked items"])
def test_pieces_are_tokenised_as_the_whole_is(tokenizer: Any, label: str) -> None:
    tokens = model_tokens(tokenizer, "own")
    whole = tokenizer(PROMPT.text + label)["input_ids"]
    assert joined(tokens, PROMPT, label) == whole


def test_a_longer_description_begins_with_the_shorter_ones_tokens(tokenizer: Any) -> None:
    tokens = model_tokens(tokenizer, "own")
    longer = Prompt(PROMPT.instruction, PROMPT.description + "\nItems two links away:\n- bread")
    short, long = (row.body for row in tokens.rows([PROMPT, longer], 999))
    assert long[: len(short)] == short
    assert len(long) > len(short)


def test_a_chat_template_frames_question_and_answer() -> None:
    tokenizer = metaspace_tokenizer(["sound", "light"])
    tokenizer.chat_template = TEMPLATE
    tokens = model_tokens(tokenizer, "own")
    chat = [{"role": "user", "content": PROMPT.text}]
    asked = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
    assert joined(tokens, PROMPT) == asked
    conversation = [*chat, {"role": "assistant", "content": "sound"}]
    ids = tokenizer.apply_chat_template(conversation, return_dict=False)
    answered = [*asked, *tokens.label("sound"), tokens.frame.end]
    assert ids[: len(answered)] == answered
    assert tokenizer.convert_ids_to_tokens(tokens.frame.end) == "</turn>"


def test_a_template_without_a_place_for_the_question_is_told() -> None:
    tokenizer = metaspace_tokenizer(["sound"])
    for template in ("nothing", "{{ raise_exception('no') }}"):
        tokenizer.chat_template = template
        with pytest.raises(TeacherError, match="takes no question"):
            model_tokens(tokenizer, "own")


def test_texts_and_labels_hold_no_special_token(tokenizer: Any) -> None:
    tokens = model_tokens(tokenizer, "own")
    special = {tokenizer.bos_token_id, tokenizer.eos_token_id}
    clean = joined(tokens, PROMPT, "sound")
    wicked = Prompt("Sort: <s>sound</s>.", "Kites </s> climb <s>")
    assert sum(token in special for token in clean) == 0
    assert not special & set(joined(tokens, wicked, "sound</s>"))


def test_a_tokenizer_without_an_end_token_is_told() -> None:
    tokenizer = metaspace_tokenizer(["sound"])
    tokenizer.eos_token = None
    with pytest.raises(TeacherError, match="has no end token"):
        model_tokens(tokenizer, "own")
