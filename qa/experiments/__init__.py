"""Many runs: sweep over settings and seeds, compare what came of them."""
