"""Two layers of BERT that learn from scratch, on few texts."""

from typing import Any

from salreg.recipes.data.texts import PADDING


def small_bert(words: int) -> Any:
    """The configuration, for any of Hugging Face's models of BERT.

    Args:
        words: How many the vocabulary has.
    """
    from transformers import BertConfig

    size: dict[str, Any] = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 128}
    # From scratch on few texts: weights large enough that attention tells places apart at once, and no dropout.
    fresh: dict[str, Any] = {"initializer_range": 0.2, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    return BertConfig(vocab_size=words, pad_token_id=PADDING, **size, **fresh)
