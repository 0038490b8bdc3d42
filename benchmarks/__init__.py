"""What takes how long, beside what else there is; never run by the tests."""
