"""What every store promises. Nothing here knows which store it is."""
