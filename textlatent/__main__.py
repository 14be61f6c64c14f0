"""`python -m textlatent`, which is what `accelerate launch -m textlatent` starts."""

from textlatent.cli.main import main

if __name__ == "__main__":
    main()
