"""Thin verbs over textlatent.run: nothing is computed here, and torch comes in only when a verb needs it."""
