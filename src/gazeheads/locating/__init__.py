"""Where in a picture a phrase is: by what the model names where its heads look, or by attention."""
