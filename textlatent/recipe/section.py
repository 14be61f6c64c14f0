"""What every section of a recipe keeps to: values only; unknown keys are errors."""

from collections.abc import Iterator

from pydantic import BaseModel, ConfigDict, Field

Conflict = tuple[str, str]
"""A dotted path inside the section, and the sentence that says what must hold there."""


class Section(BaseModel):
    """What every section keeps to: no unknown key, no silent conversion (`true` is no number), no nan, no change."""

    model_config = ConfigDict(
        extra="forbid", strict=True, frozen=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    def conflicts(self) -> Iterator[Conflict]:
        """What two fields of this section, each good by itself, may not be together."""
        return iter(())


class AnyRecipe(Section):
    """What a recipe of every kind says; `kind` decides which class reads the rest (recipe/kinds.py)."""

    kind: str
    """What is made."""
    name: str = Field(min_length=1, pattern=r"^[\w][\w.-]*$")
    """The run's folder inside `out`."""
    seed: int = Field(0, ge=0)
    """Decides the weights, the order of the data and the noise."""
    out: str = "runs"
    """The folder that holds the runs."""

    def conflicts(self) -> Iterator[Conflict]:
        """Every conflict of every section, with its full path; a kind adds those between its sections."""
        for name in type(self).model_fields:
            if isinstance(section := getattr(self, name), Section):
                yield from ((f"{name}.{path}", sentence) for path, sentence in section.conflicts())
