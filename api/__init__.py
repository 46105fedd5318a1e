"""The doors: queries, commands, the web page, and the command line where each process is put together."""
