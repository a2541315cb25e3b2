"""Pictures of what a trained model does, and how arrays become PNG files."""
