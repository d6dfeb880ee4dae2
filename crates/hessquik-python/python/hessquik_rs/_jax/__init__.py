"""What `hessquik_rs.jax` is made of: JAX primitives, their rules, and how their work is shared among devices."""
