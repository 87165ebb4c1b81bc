"""Which words of a prompt a causal language model's next token depends on, beside what inseq gives for the same model.

python -m benchmarks.language_maps      # pip install inseq
"""

import warnings

import inseq
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import Tensor, nn
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from salreg.attributions import InputGradient, InputTimesGradient

PROMPT, ANSWER = "Anna said the film was", "good"
WORDS = ["<end>", *PROMPT.split(), ANSWER, "bad", "dull", "bright"]


class NextToken(nn.Module):
    """The logits of the token behind a prompt."""

    def __init__(self, model: GPT2LMHeadModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, tokens: Tensor) -> Tensor:
        """``(B, T)`` to ``(B, V)``."""
        return self.model(tokens).logits[:, -1]


def main() -> None:
    """Print the largest difference between the maps of two attributions, element by element."""
    warnings.simplefilter("ignore")
    words = Tokenizer(models.WordLevel({word: number for number, word in enumerate(WORDS)}, unk_token="<end>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = dict.fromkeys(("eos_token", "bos_token", "pad_token", "unk_token"), "<end>")
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=words, **special)
    torch.manual_seed(0)
    sizes = {"vocab_size": len(WORDS), "n_positions": 32, "n_embd": 32, "n_layer": 2, "n_head": 2, "initializer_range": 0.4}
    model = GPT2LMHeadModel(GPT2Config(**sizes, bos_token_id=0, eos_token_id=0)).eval()
    model.name_or_path = "tiny"
    tokens, answer = torch.tensor([tokenizer(PROMPT)["input_ids"]]), torch.tensor([WORDS.index(ANSWER)])
    for name, attribution in (
        ("saliency", InputGradient(score="target_logit")),
        ("input_x_gradient", InputTimesGradient(score="target_logit")),
    ):
        ours = attribution(NextToken(model), tokens, answer)[0].T
        explained = inseq.load_model(model, name, tokenizer=tokenizer).attribute(
            PROMPT, f"{PROMPT} {ANSWER}", attributed_fn="logit", step_scores=[], show_progress=False, generation_args={}
        )
        theirs = explained.sequence_attributions[0].target_attributions[: tokens.shape[1], 0]
        difference = (ours.abs() - theirs.abs()).abs().max()
        print(f"{name}: largest difference {difference:.1e}, of values up to {theirs.abs().max():.2f}")


if __name__ == "__main__":
    main()
