"""Who has used how much, what it costs, and who must stop."""
