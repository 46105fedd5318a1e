"""The development chain: the real Gnosis Pay contracts on an anvil of our own, for the demo and the tests."""
