"""What happened, told to others: signed webhooks (Standard Webhooks), at least once, under ids that never change."""
