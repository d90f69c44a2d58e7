"""Streams that go on after a break: what is heard comes once, in order, on the audio's own clock."""
