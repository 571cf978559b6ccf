"""What staff do in the group, told to the desk."""
