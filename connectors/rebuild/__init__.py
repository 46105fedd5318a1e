"""The read models made anew from the topics, while the first ones are read and go on."""
