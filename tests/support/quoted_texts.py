"""Random sources and quotes from them, written otherwise; and what must hold of what is found."""

import unicodedata

from qa.inference.quotes import find_quote

_SOURCE = (
    *"aaabcdeAB  \n\t.,-…'\"“”’1é",
    "e\u0301",
    "ß",
    "…",
    "...",
    "-\n",
    " — ",
    "ﬁ",
    "\u00ad",
    "각",
    "x ",
    "北",
    "\u200b",
    "🙂",
)
_REWRITTEN = (
    lambda text: text,
    str.upper,
    lambda text: unicodedata.normalize("NFD", text),
    lambda text: unicodedata.normalize("NFKC", text),
    lambda text: " ".join(text.split()),
    lambda text: text.replace("“", '"').replace("”", '"').replace("’", "'"),
    lambda text: text.replace("-\n", ""),
    lambda text: text.replace(" — ", "-"),
    lambda text: f" {text}\n",
    lambda text: f"“{text},”",
    lambda text: f"{text[: len(text) // 3]} … {text[2 * len(text) // 3 :]}",
    lambda text: text[::-1],
)


def pair(chance):
    """A source, and a stretch of it that was written otherwise, or something else."""
    source = "".join(chance.choices(_SOURCE, k=chance.randint(1, 40)))
    begin = chance.randrange(len(source))
    quote = source[begin : begin + chance.randint(1, 20)]
    for rewrite in chance.sample(_REWRITTEN, chance.randint(0, 2)):
        quote = rewrite(quote)
    return quote, source


def check(quote, source):
    """What is found is a stretch of the source, verbatim exactly if it is the quote, and the quote is told apart.

    Returns the verdict; None for nothing.
    """
    found = find_quote(quote, source)
    if found is None:
        return None
    assert 0 <= found.start < found.end <= len(source), (quote, source, found)
    text = source[found.start : found.end]
    assert (text == quote.strip()) == (found.verdict == "verbatim"), (quote, source, found)
    if not any(sign in quote for sign in ("…", "...")):  # nothing is left out
        assert letters(text) == letters(quote), (quote, source, found)
    return found.verdict


def letters(text):
    """Letters, digits and pictures in a text, whatever their case and form; of marks and punctuation nothing."""
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(part for part in folded if unicodedata.category(part)[:2] in {"Ll", "Lo", "Lm", "Nd", "So"})
