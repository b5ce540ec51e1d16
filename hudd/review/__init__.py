"""What people make of a study's clusters and of the images to label."""
