"""Annotations of chats by role: the messages of system, user or assistant in the text that a chat template produces."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from torch import Tensor

from salreg.annotations.text import Span, from_character_spans

_REMEDY = "Mark its tokens with apply_chat_template(..., return_assistant_tokens_mask=True) and from_token_mask instead."


def role_spans(messages: Sequence[Mapping[str, Any]], text: str) -> dict[str, list[Span]]:
    """Find each role's messages in the text that a chat template produced.

    Args:
        messages: The messages in order, each ``{"role": ..., "content": ...}``.
        text: The result of ``tokenizer.apply_chat_template(messages, tokenize=False)``.

    Returns:
        The spans of characters ``(start, end)`` by role, without what the template puts around a message.

    Raises:
        ValueError: A message is not in the text, because the template changes or omits it, or it could be at several places.

    Example:
        >>> messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
        >>> role_spans(messages, "<user>Hi</user><assistant>Hello</assistant>")
        {'user': [(6, 8)], 'assistant': [(26, 31)]}
    """
    contents = [message["content"] for message in messages]
    wrong = next((number for number, one in enumerate(contents) if not isinstance(one, str)), None)
    if wrong is not None:
        raise ValueError(f"Message {wrong} is {type(contents[wrong]).__name__}, not a text: only texts can be found by role.")
    contents = [one.strip() for one in contents]
    first, end = [], 0
    for number, content in enumerate(contents):
        start = text.find(content, end)
        if start < 0:
            raise ValueError(
                f"Message {number} of the {messages[number]['role']} is not in the text after character {end}: "
                f"{content[:40]!r}. The template changes it, or the text belongs to another chat. {_REMEDY}"
            )
        first.append(start)
        end = start + len(content)
    found: dict[str, list[Span]] = {message["role"]: [] for message in messages}
    end = len(text)
    for number in reversed(range(len(contents))):
        content = contents[number]
        start = text.rfind(content, 0, end)
        if content and start != first[number]:
            raise ValueError(
                f"Message {number} of the {messages[number]['role']}, {content[:40]!r}, could be at character {first[number]} "
                f"or at {start} of the text, for example because the template itself contains it. {_REMEDY}"
            )
        end = first[number]
        if content:
            found[messages[number]["role"]].insert(0, (start, start + len(content)))
    return found


def from_roles(
    messages: Sequence[Mapping[str, Any]],
    text: str,
    offsets: Any,
    *,
    spurious: Collection[str] = (),
    relevant: Collection[str] = (),
    truncated: bool = False,
    special: Any = None,
) -> Tensor:
    """Mark everything that certain roles say.

    Args:
        messages: The chat. For this and ``text``, see ``role_spans``.
        text: The text that the template produced.
        offsets: The offsets of the tokens in that text. For this, ``truncated`` and ``special``, see ``from_character_spans``.
        spurious: Roles whose messages the model must not use: ``["system"]``.
        relevant: Roles whose messages it should use.

    Returns:
        ``int8`` tensor ``(T,)``.

    Raises:
        ValueError: A role says nothing in this chat; or as in those functions.

    Example:
        >>> messages = [{"role": "system", "content": "Be brief"}, {"role": "user", "content": "Hi"}]
        >>> text, offsets = "Be brief|Hi", [(0, 2), (3, 8), (8, 9), (9, 11)]
        >>> from_roles(messages, text, offsets, spurious=["system"]).tolist()
        [-1, -1, 0, 0]
    """
    spans = role_spans(messages, text)
    unknown = [role for role in (*spurious, *relevant) if role not in spans]
    if unknown:
        raise ValueError(f"This chat has no messages of the role {unknown[0]!r}; its roles are {', '.join(spans)}.")
    marked, wanted = ([span for role in roles for span in spans[role]] for roles in (spurious, relevant))
    return from_character_spans(offsets, spurious=marked, relevant=wanted, truncated=truncated, special=special)
