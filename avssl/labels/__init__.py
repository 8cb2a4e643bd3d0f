"""Official label formats, parsed into plain records (arrives with the keypoint work)."""
