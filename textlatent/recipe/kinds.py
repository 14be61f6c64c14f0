"""The kinds of recipe, each with the class that reads it. A new kind is a file of its own and a line here."""

from typing import Any

from textlatent.recipe.bigram_gan import BigramGanRecipe
from textlatent.recipe.latent_class import LatentClassRecipe
from textlatent.recipe.ring import RingRecipe
from textlatent.recipe.schema import Recipe
from textlatent.recipe.section import AnyRecipe
from textlatent.recipe.vectors import VectorRecipe

KINDS: dict[str, type[AnyRecipe]] = {
    "autoencoder": Recipe,
    "vectors": VectorRecipe,
    "bigram_gan": BigramGanRecipe,
    "ring": RingRecipe,
    "latent_class": LatentClassRecipe,
}
"""By the recipe's `kind`; the first is meant where a recipe names none."""

TextRecipe = Recipe | LatentClassRecipe | BigramGanRecipe
"""Those that learn from a corpus through a tokenizer."""


def kind_of(values: Any) -> type[AnyRecipe]:
    """The class that reads these values; the first kind's where `kind` is wrong, which then says so."""
    named = values.get("kind") if isinstance(values, dict) else None
    return KINDS.get(named, Recipe) if isinstance(named, str) else Recipe
