"""What pyproject.toml cannot say: recipes/ and data/ stand beside the package and travel inside it.

A wheel holds textlatent/recipes and textlatent/data; a clone and an editable install read the two folders where they
are (textlatent/run/recipes.py).
"""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["textlatent", "textlatent.*"]), "textlatent.recipes", "textlatent.data"],
    package_dir={"textlatent.recipes": "recipes", "textlatent.data": "data"},
    package_data={
        "textlatent": ["py.typed", "report/*.jinja", "report/*.js"],
        "textlatent.recipes": ["**/*.yaml", "*.md"],
        "textlatent.data": ["**/*"],
    },
    include_package_data=False,
)
