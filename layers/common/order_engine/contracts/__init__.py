"""Pydantic models of everything that crosses a wire."""
