"""The stages of the Beam graph: as little logic as possible. They wire, `bronze` does the work."""
