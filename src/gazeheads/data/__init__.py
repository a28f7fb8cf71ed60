"""Comic strips: what they show, how they are drawn and laid out, and how they are kept."""
