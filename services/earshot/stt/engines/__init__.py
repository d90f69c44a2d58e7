"""What hears: one file for each engine, its library imported there and nowhere else."""
