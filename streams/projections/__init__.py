"""The read side: pure folds of delivered events, one file a read model, and the projector that writes them on R."""
