"""What staff read in the group, composed from values alone."""
