r"""CWM's chat format: the system prompt, the template, and chats as ids.

Known from facebookresearch/cwm (prompting guide, model card, `cwm/text/tokenizers.py`): headers, roles,
`<|eot_id|>` after every message, contents trimmed except a tool's, a prompt that ends in `<think>\n` when the
model is to reason. The template file of the released checkpoint is gated and was not seen; these points are
this project's reading of its two switches:

- a reply in the history that lacks the `<think>` which its prompt ended in gets it back;
- with `preserve_previous_think=False` every reply but a last one loses all up to its first `</think>`;
- no system message is put in where there is none: pass `SYSTEM_PROMPT` or `PLAIN_SYSTEM_PROMPT` yourself.

Meta encodes a header's empty line and the text after it apart, a template in one piece. The ids are the same
unless the text begins with a line break, and only a tool's can.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cwm_trace.model.tokenizer import encode_text

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SYSTEM_PROMPT = (
    "You are a helpful AI assistant. You always reason before responding, using the following format:\n\n"
    "<think>\nyour internal reasoning\n</think>\nyour external response"
)
"""The default system prompt for reasoning, as model card, prompting guide and transformers' page print it.

The model card's example for vLLM alone has no empty line before `<think>`.
"""

PLAIN_SYSTEM_PROMPT = "You are a helpful AI assistant."
"""What the model card suggests when reasoning is off."""


def encode_chat(
    tokenizer: PreTrainedTokenizerBase,
    messages: Sequence[Mapping[str, Any]],
    *,
    add_generation_prompt: bool = True,
    **switches: Any,
) -> list[int]:
    """Render a chat with the tokenizer's own template and encode it, what users wrote as ordinary text only.

    `apply_chat_template(tokenize=True)` makes a token of a message that spells `<|eot_id|>`; this does not.
    Without such a message both give the same ids.

    Args:
        tokenizer: Any tokenizer with a chat template.
        messages: `{"role": …, "content": …}`; roles are system, user, assistant and `tool: NAME`.
        add_generation_prompt: End in the header of the reply to come.
        switches: `enable_thinking`, `preserve_previous_think`, or what else the template takes.

    Raises:
        CwmTraceError: A message holds a lone surrogate.
    """
    special = {str(token): index for index, token in tokenizer.added_tokens_decoder.items() if token.special}
    spelling = re.compile("|".join(re.escape(token) for token in sorted(special, key=len, reverse=True)))
    mark = _unused_character(messages)
    rendered = str(
        tokenizer.apply_chat_template(
            [_break_up(message, spelling, mark) for message in messages],
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
            **switches,
        )
    )
    ids: list[int] = []
    end = 0
    for match in spelling.finditer(rendered):
        ids += encode_text(tokenizer, rendered[end : match.start()].replace(mark, ""))
        ids.append(special[match.group()])
        end = match.end()
    return ids + encode_text(tokenizer, rendered[end:].replace(mark, ""))


def _unused_character(messages: Sequence[Mapping[str, Any]]) -> str:
    """Find a private-use character that no message holds."""
    text = "".join(_strings(messages))
    return next(chr(code) for code in range(0xF0000, 0x110000) if chr(code) not in text)


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, Mapping):
        return [text for item in value.values() for text in _strings(item)]
    if isinstance(value, Sequence):
        return [text for item in value for text in _strings(item)]
    return []


def _break_up(value: Any, spelling: re.Pattern[str], mark: str) -> Any:
    """Put the mark into everything that spells a special token."""
    if isinstance(value, str):
        return spelling.sub(lambda match: match.group()[0] + mark + match.group()[1:], value)
    if isinstance(value, Mapping):
        return {key: _break_up(item, spelling, mark) for key, item in value.items()}
    if isinstance(value, Sequence):
        return [_break_up(item, spelling, mark) for item in value]
    return value
