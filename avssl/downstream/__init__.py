"""Tasks and evaluators for what an encoder is used for (arrives with the keypoint work)."""
