"""The demo: one day of a card programme, played on real servers and real contracts. The acceptance test is this same code."""
