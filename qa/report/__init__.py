"""What was answered -> a page that shows it."""
