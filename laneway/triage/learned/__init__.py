"""What is learnt from examples, applied: model files made by ``laneway triage train``. numpy only, imported when used."""
