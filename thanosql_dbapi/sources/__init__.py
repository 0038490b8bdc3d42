"""Where data sets and models come from: the catalog, the Hugging Face hub, archives, storybook."""
