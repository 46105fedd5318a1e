"""How EVM nodes are asked: questions and answers as values, over one node or several. It knows of no account and no payment."""
