"""Migrations of the registry's database."""
