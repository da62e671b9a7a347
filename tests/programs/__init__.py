"""One file for each program: what its dialogues cannot say."""
