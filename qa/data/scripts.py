"""Scripts that are written without spaces between words."""

UNSPACED = (
    r"\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tai_Le}\p{New_Tai_Lue}\p{Tai_Tham}\p{Tai_Viet}"
    r"\u3006\u302a-\u302d\u3031-\u3035\u303c\u3099\u309a\u30fc\uff70"
)
"""What stands between the brackets of a set of `regex`: their characters, and the signs that several of them share."""
