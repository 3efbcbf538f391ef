"""Learning from examples: training, judging, reporting. scikit-learn, imported where it is used (extra ``learn``)."""
