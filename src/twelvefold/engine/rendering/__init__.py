"""The render loop: what cookiecutter renders of a template, merged as scaraplate.yaml says.

cookiecutter 2.7.1 is the reference: what its `generate.py`, `prompt.py`, `hooks.py` and `environment.py` do, this does
without its imports. tests/engine/ compares the two.
"""
