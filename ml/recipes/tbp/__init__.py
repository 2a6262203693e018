"""What is known of a lesion beside its picture, a network that looks at both, and what a student keeps of it."""
