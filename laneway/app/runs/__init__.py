"""The main job: a file of tasks, planned and run."""
