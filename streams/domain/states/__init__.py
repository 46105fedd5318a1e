"""What streams are folded into: accounts, payments, and the values they are made of."""
