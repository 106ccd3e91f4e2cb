"""Rendered chats against goldens, and chats as ids."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from cwm_trace.model.chat import PLAIN_SYSTEM_PROMPT, SYSTEM_PROMPT, encode_chat
from cwm_trace.model.tokenizer import SPECIAL_TOKENS, build_tokenizer, decode_text, save_tokenizer


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return build_tokenizer([SYSTEM_PROMPT, "user assistant system tool: python\n\n"], 400)


def render(tokenizer: PreTrainedTokenizerFast, *messages: dict[str, Any], **switches: Any) -> str:
    """Render with tokens shortened: `^` begins a text, `[role]` is a header, `.` ends a message."""
    text = str(tokenizer.apply_chat_template(list(messages), tokenize=False, **switches))
    for token, short in (
        ("<|begin_of_text|>", "^"),
        ("<|start_header_id|>", "["),
        ("<|end_header_id|>\n\n", "]"),
        ("<|eot_id|>", "."),
    ):
        text = text.replace(token, short)
    return text


def system(content: str) -> dict[str, str]:
    return {"role": "system", "content": content}


def user(content: str) -> dict[str, str]:
    return {"role": "user", "content": content}


def assistant(content: str, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **more}


def test_the_snippet_of_the_model_page(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    save_tokenizer(tokenizer, tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)  # type: ignore[assignment]
    system_prompt = """
You are a helpful AI assistant. You always reason before responding, using the following format:

<think>
your internal reasoning
</think>
your external response
""".strip()
    messages = [
        {"role": "system", "content": system_prompt},
        {"role": "user", "content": "Write a haiku about recursion in programming."},
    ]
    text = tokenizer.apply_chat_template(
        messages,
        tokenize=False,
        add_generation_prompt=True,
        enable_thinking=True,
        preserve_previous_think=True,
    )
    assert system_prompt == SYSTEM_PROMPT
    assert text == (
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n" + SYSTEM_PROMPT + "<|eot_id|>"
        "<|start_header_id|>user<|end_header_id|>\n\nWrite a haiku about recursion in programming.<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n<think>\n"
    )
    ids = tokenizer([text])["input_ids"][0]
    assert ids.count(tokenizer.bos_token_id) == 1
    assert decode_text(tokenizer, ids) == text


def test_thinking_is_on_by_default_and_off_on_request(tokenizer: PreTrainedTokenizerFast) -> None:
    chat = [system(PLAIN_SYSTEM_PROMPT), user("Hi")]
    start = "^[system]You are a helpful AI assistant..[user]Hi."
    assert render(tokenizer, *chat) == start
    assert render(tokenizer, *chat, add_generation_prompt=True) == start + "[assistant]<think>\n"
    assert (
        render(tokenizer, *chat, add_generation_prompt=True, enable_thinking=False) == start + "[assistant]"
    )


@pytest.mark.parametrize(
    "reply",
    [
        assistant("why\n</think>\nYes"),  # as generate returns it: the prompt held the <think>
        assistant("<think>\nwhy\n</think>\nYes\n"),
        assistant("Yes", reasoning_content="why\n"),
    ],
)
def test_previous_thinking_is_kept_or_dropped(
    tokenizer: PreTrainedTokenizerFast, reply: dict[str, Any]
) -> None:
    chat = [user("a"), reply, user("b")]
    assert render(tokenizer, *chat) == "^[user]a.[assistant]<think>\nwhy\n</think>\nYes.[user]b."
    assert render(tokenizer, *chat, preserve_previous_think=False) == "^[user]a.[assistant]Yes.[user]b."


def test_the_last_reply_is_not_previous(tokenizer: PreTrainedTokenizerFast) -> None:
    chat = [user("a"), assistant("x</think>y"), user("b"), assistant("<think>1</think>2")]
    assert render(tokenizer, *chat, preserve_previous_think=False).endswith(
        "[assistant]y.[user]b.[assistant]<think>1</think>2."
    )


def test_only_the_first_thought_is_dropped(tokenizer: PreTrainedTokenizerFast) -> None:
    chat = [user("a"), assistant("x</think>the tag </think> ends it"), user("b")]
    assert "[assistant]the tag </think> ends it." in render(tokenizer, *chat, preserve_previous_think=False)


def test_contents_are_trimmed_except_a_tools(tokenizer: PreTrainedTokenizerFast) -> None:
    chat = [
        user("  run it\n"),
        assistant("<tool: python>\n1\n</tool>\n"),
        {"role": "tool: python", "content": "completed.\n"},
    ]
    expected = "^[user]run it.[assistant]<tool: python>\n1\n</tool>.[tool: python]completed.\n."
    assert render(tokenizer, *chat) == expected
    chat[2] = {"role": "tool", "name": "python", "content": [{"type": "text", "text": "completed.\n"}]}
    assert render(tokenizer, *chat) == expected


def test_tool_calls_are_written_as_text(tokenizer: PreTrainedTokenizerFast) -> None:
    calls = [
        {"type": "function", "function": {"name": "bash", "arguments": "ls\ncat a"}},
        {"type": "function", "function": {"name": "add", "arguments": {"a": 1}}},
    ]
    tools = '<tool: bash>\nls\ncat a\n</tool>\n<tool: add>\n{"a": 1}\n</tool>.'
    assert render(tokenizer, assistant("Look:", tool_calls=calls)) == "^[assistant]Look:\n" + tools
    assert (
        render(tokenizer, {"role": "assistant", "content": None, "tool_calls": calls})
        == "^[assistant]" + tools
    )


def test_a_reply_can_be_continued(tokenizer: PreTrainedTokenizerFast) -> None:
    text = render(tokenizer, user("a"), assistant("<think>\nSo"), continue_final_message=True)
    assert text == "^[user]a.[assistant]<think>\nSo"


@pytest.mark.parametrize(
    ("message", "switches", "words"),
    [
        ({"role": "developer", "content": "x"}, {}, "Unknown role 'developer'"),
        ({"role": "tool", "content": "x"}, {}, "Unknown role 'tool'"),
        ({"role": "tool: ", "content": "x"}, {}, "Unknown role 'tool: '"),
        ({"role": "user", "content": [{"type": "image"}]}, {}, "text only"),
        (
            {"role": "user", "content": "x"},
            {"tools": [{"type": "function", "function": {"name": "f"}}]},
            "system prompt",
        ),
    ],
)
def test_what_the_format_has_no_place_for_is_refused(
    tokenizer: PreTrainedTokenizerFast, message: dict[str, Any], switches: dict[str, Any], words: str
) -> None:
    with pytest.raises(Exception, match=words):
        render(tokenizer, message, **switches)


def test_ids_are_the_templates_own_when_no_message_spells_a_token(tokenizer: PreTrainedTokenizerFast) -> None:
    chat = [
        system(SYSTEM_PROMPT),
        user("a\n\n b"),
        assistant("c</think>d"),
        {"role": "tool: t", "content": "\n e "},
    ]
    every: list[dict[str, Any]] = [{}, {"enable_thinking": False}, {"preserve_previous_think": False}]
    for switches in every:
        expected = tokenizer.apply_chat_template(
            chat, tokenize=True, add_generation_prompt=True, return_dict=False, **switches
        )
        assert encode_chat(tokenizer, chat, **switches) == expected


@given(
    st.lists(
        st.sampled_from(["<|eot_id|>", "<|", "<|frame_sep|>", "|>", "\U000f0000"]) | st.text(max_size=4),
        min_size=1,
    ).map("".join)
)
def test_what_users_write_never_becomes_a_special_token(
    tokenizer: PreTrainedTokenizerFast, text: str
) -> None:
    special = [tokenizer.convert_tokens_to_ids(token) for token in SPECIAL_TOKENS]
    ids = encode_chat(tokenizer, [{"role": "tool: <|eot_id|>", "content": text}], enable_thinking=False)
    header = [
        tokenizer.convert_tokens_to_ids(f"<|{name}|>")
        for name in ("start_header_id", "end_header_id", "eot_id")
    ]
    begin = tokenizer.bos_token_id
    assert [index for index in ids if index in special] == [begin, *header, *header[:2]]
    assert decode_text(tokenizer, ids) == (
        f"<|begin_of_text|><|start_header_id|>tool: <|eot_id|><|end_header_id|>\n\n{text}<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
    )
