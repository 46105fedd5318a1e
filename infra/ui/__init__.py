"""Kafka seen by people: kaskade in the browser, in an environment of its own, since it brings a library that fights with ours."""
