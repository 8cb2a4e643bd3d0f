"""From a folder of videos to a prepared data set."""
