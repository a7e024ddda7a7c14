"""Features defined once: definitions, tiles, packed rows, online and offline stores."""
