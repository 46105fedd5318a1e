"""The contracts' words: what their logs say and how they are called, as values and as bytes. Pure: nobody is asked."""
