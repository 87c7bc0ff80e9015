"""`lamella layer`: what is in the prebuilt layer's zip, and how it comes into an AWS account.

A checkout's `layer.verify` reads zips with `contents`, so this and `packing` need no package.
"""
