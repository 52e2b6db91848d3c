"""What is computed once for every image or patch: features, feature maps, labels, a teacher's answers."""
