//! The engine.
use crate::{Error, Network, Real};
/// Lowered network.
#[derive(Debug)]
pub struct Program<F>(std::marker::PhantomData<F>);
impl<F: Real> Program<F> {
    pub fn lower(_: &Network<F>) -> Result<Self, Error> {
        Ok(Self(std::marker::PhantomData))
    }
}
