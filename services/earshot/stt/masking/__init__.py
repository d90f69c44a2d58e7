"""What is personal or profane, taken out of transcripts before they leave an engine's process."""
