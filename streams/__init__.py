"""What the product is: deciding, storing, ordering and delivering payments."""
