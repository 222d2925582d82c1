"""Merge strategies that scaraplate.yaml names, one module a format.

`three_way` decides on parsed data what a file should say, `rules` are its orders, and each format's module only
knows how to read a text and how to splice a change into it. docs/ownership.md tells teams what comes out.
"""
