"""The typed YAML: what a run is made of, with every fault named at once. No torch here."""
