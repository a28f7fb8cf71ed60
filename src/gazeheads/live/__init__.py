"""The live demo: one page, and a server that runs the model for it or only hands it the files."""
