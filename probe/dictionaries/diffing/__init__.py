"""What do latents say of a pair? Norms, scaling, rates, ranks, what carries a change, and the numbers of one latent."""
