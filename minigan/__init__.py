"""ViTGAN and its baselines, their losses, data, metrics and training, on the hand-written engine below."""
