"""Figures and one self-contained page from run folders; needs no model."""
