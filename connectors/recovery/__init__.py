"""W and the topics held against each other, and brought in step again: after W was restored to an earlier point, or the slot was lost."""
