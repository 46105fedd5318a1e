"""Which accounts are under watch, how they came there, and what the contracts say of them at a block."""
