"""Which characters are of scripts without spaces between words."""

import pytest
import regex

from qa.data.scripts import UNSPACED


@pytest.mark.parametrize("character", "北一〇々あアーｱｰ゙ไทຂខမᥐᦀᨠꪀ〆〱")
def test_characters_of_scripts_without_spaces(character):
    assert regex.fullmatch(f"[{UNSPACED}]", character)


@pytest.mark.parametrize("character", "aéß1ж가한عאहதఅಅമკաአ'-. ")
def test_all_other_scripts_have_spaces(character):
    assert not regex.fullmatch(f"[{UNSPACED}]", character)
