"""What everything stands on: settings, database, migrations, telemetry, the embedded stack."""
