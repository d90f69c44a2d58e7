"""What users might take instead, each as its own documentation says to run it; one file each."""
