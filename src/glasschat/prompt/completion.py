"""A text that is to be gone on with as it stands, by whoever wrote its template themselves."""

from glasschat.models.base import Tokenizer
from glasschat.prompt.content import encode_content


def encode_text(
    tokenizer: Tokenizer, text: str, *, control: bool, opened: bool = True
) -> list[int]:
    """Ids of `text`, with begin-of-text in front, once, if `opened` and the model asks for it.

    With `control`, pieces such as `<|im_end|>` become their tokens; without, the text holds no
    control id, whatever it says. Raises InvalidMessage for what the vocabulary cannot write.
    """
    ids = tokenizer.encode(text, control=True) if control else encode_content(tokenizer, text)
    bos = tokenizer.bos_id
    if opened and tokenizer.adds_bos and bos is not None and ids[:1] != [bos]:
        ids.insert(0, bos)
    return ids
