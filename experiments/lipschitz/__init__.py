"""What the Lipschitz tools of the discriminator are for: its learning rate against its norms, measured."""
