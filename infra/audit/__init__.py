"""For auditors: the checker that needs nothing of ours, and the page that says what it checks."""
