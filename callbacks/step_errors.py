"""Why a user's step fails when its batch requires grad."""

_OF_LEAVES = (
    "A module sets requires_grad on what it computes from the input, as wav2vec2's feature encoder does while it trains. "
    "PyTorch allows that on leaves only, and under a saliency penalty the input has a graph. With Hugging Face's audio models, "
    "call freeze_feature_encoder(), which avoids this; in your own module, guard it with `if not x.requires_grad:` and write "
    "x.detach() instead of x.requires_grad_(False). Or train with the intervention alone, which needs no gradient at the "
    "input."
)


def refuses_taps(error: Exception) -> bool:
    """Whether a step failed only because its batch requires grad: ``.numpy()`` on it, for example."""
    return "requires grad" in str(error) or "require grad" in str(error) or "deepcopy protocol" in str(error)


def with_remedy(error: Exception) -> Exception:
    """The error with its remedy, where a module sets ``requires_grad`` on what depends on the batch; otherwise as it is."""
    return RuntimeError(f"{error}\n{_OF_LEAVES}") if "requires_grad flags of leaf" in str(error) else error
