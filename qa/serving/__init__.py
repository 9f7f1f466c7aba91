"""An HTTP service and a page that answer questions with one reader."""
