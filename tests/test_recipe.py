from __future__ import annotations

import tomllib

import pytest

from d2midi_build.errors import RecipeError
from d2midi_build.recipe import Recipe, field_names


def test_the_defaults_are_the_papers_figures() -> None:
    recipe = Recipe()
    assert (recipe.window.frames, recipe.window.stride) == (600, 40)


def test_toml_out_is_toml_in() -> None:
    recipe = Recipe().with_field("window.frames", 120).with_field("crawl.proxy", "socks5://x:1")
    assert Recipe.parse(recipe.to_toml()) == recipe


def test_toml_names_every_field_or_says_that_it_is_not_set() -> None:
    text = Recipe().to_toml()
    written = {f"{section}.{name}" for section, fields in tomllib.loads(text).items() for name in fields}
    assert set(field_names()) - written == {
        "crawl.rate_limit_bytes_s", "crawl.cookies", "crawl.cookies_from_browser", "crawl.proxy",
    }  # fmt: skip
    assert "# rate_limit_bytes_s =" in text


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[window]\nframs = 3", "window.frams"),
        ("[window]\nframes = 'many'", "window.frames = 'many'"),
        ("[window]\nframes = 0", "greater than or equal to 1"),
        ("[windows]\nframes = 3", "windows"),
        ("window = ", "not TOML"),
    ],
)
def test_a_wrong_recipe_is_told_by_field_and_value(text: str, says: str) -> None:
    with pytest.raises(RecipeError, match="recipe") as caught:
        Recipe.parse(text)
    assert says in str(caught.value)


def test_an_unknown_field_cannot_be_set() -> None:
    with pytest.raises(RecipeError, match=r"window\.length"):
        Recipe().with_field("window.length", 3)


def test_the_order_of_other_transcribers_means_nothing() -> None:
    given = (["mt3", "embedded"], ("embedded", "mt3"))
    assert {Recipe().with_field("transcribe.others", each).transcribe.others for each in given} == {
        ("embedded", "mt3")
    }
    assert Recipe.parse('[transcribe]\nothers = "mt3"').transcribe.others == ("mt3",)
    with pytest.raises(RecipeError, match=r"transcribe\.others"):
        Recipe.parse("[transcribe]\nothers = [3]")
