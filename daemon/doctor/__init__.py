"""What may be amiss out in the world and in here: small questions, each answered with reasons."""
