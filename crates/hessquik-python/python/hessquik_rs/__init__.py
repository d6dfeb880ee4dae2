"""Values, gradients and Hessians of neural networks with respect to their inputs."""
