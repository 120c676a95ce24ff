"""Who made a case: signatures of its seal, and whose keys count."""
