"""Where the lesion is: a network that draws its outline, and what the outline is used for."""
