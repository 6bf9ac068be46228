"""What tables are made of: separation, affinities, rankings, outcomes of fine-tuning."""
