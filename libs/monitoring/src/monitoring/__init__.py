"""Pure statistics of model quality."""
