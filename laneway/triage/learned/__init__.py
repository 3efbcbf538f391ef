"""What was learnt from examples, applied: the model files of ``laneway triage train``. numpy only, imported late."""
