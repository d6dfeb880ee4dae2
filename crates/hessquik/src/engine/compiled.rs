//! The engine, compiled once for each precision.
//!
//! Generic functions are compiled anew in every crate that calls them. Both precisions are known here, so this trait's
//! methods are not generic where they are implemented: programs that use the library need not compile the engine again.
use super::call::Call;
use super::pullback::{GradientSum, ReverseSpace};
use super::stop::GoOn;
use super::tile::Workspace;
use super::{Memory, Program, Schedules, compose};
use crate::{Error, Jet, JetMut, Layer, Real, Request};
use ndarray::ArrayView2;
use std::sync::Arc;

/// The entries of the engine; see the [module](self).
#[allow(missing_docs)] // each is the function of the same name
#[allow(private_interfaces)] // the module is private, so nobody outside can name or call these
pub trait Compiled: Sized {
    fn lower(layer: &dyn Layer<Self>, memory: Memory<Self>, schedules: Schedules<Self>) -> Result<Program<Self>, Error>
    where
        Self: Real;
    fn resolve(
        program: Arc<Program<Self>>,
        request: &Request<Self>,
        reverse: bool,
        careful: bool,
    ) -> Result<Call<Self>, Error>
    where
        Self: Real;
    fn pushed(
        program: &Program<Self>,
        request: &Request<Self>,
        points: bool,
        weights: Option<&[Self]>,
        reverse: bool,
    ) -> Result<Call<Self>, Error>
    where
        Self: Real;
    fn run(call: &Call<Self>, x: ArrayView2<Self>, out: JetMut<'_, Self>, lent: bool, go_on: Option<GoOn<'_>>)
    where
        Self: Real;
    fn evaluate_tile(call: &Call<Self>, ws: &mut Workspace<Self>, out: &mut [&mut [Self]])
    where
        Self: Real;
    fn pull_back_tile(
        call: &Call<Self>,
        spaces: (&mut Workspace<Self>, &mut ReverseSpace<Self>),
        cotangents: &[&[Self]],
        sum: &mut GradientSum<Self>,
        x_bar: &mut [Self],
    ) where
        Self: Real;
    fn finish(sum: GradientSum<Self>, call: &Call<Self>) -> Vec<Self>
    where
        Self: Real;
    fn forward(program: &Program<Self>, u: &Jet<Self>) -> Result<Jet<Self>, Error>
    where
        Self: Real;
    fn backward(program: &Program<Self>, u: ArrayView2<Self>, g: &Jet<Self>) -> Result<Jet<Self>, Error>
    where
        Self: Real;
}

macro_rules! compiled {
    ($($real:ty),*) => {$(
        #[allow(private_interfaces)]
        impl Compiled for $real {
            fn lower(
                layer: &dyn Layer<Self>,
                memory: Memory<Self>,
                schedules: Schedules<Self>,
            ) -> Result<Program<Self>, Error> {
                Program::lower(layer, memory, schedules)
            }
            fn resolve(
                program: Arc<Program<Self>>,
                request: &Request<Self>,
                reverse: bool,
                careful: bool,
            ) -> Result<Call<Self>, Error> {
                Call::new(program, request, reverse, careful)
            }
            fn pushed(
                program: &Program<Self>,
                request: &Request<Self>,
                points: bool,
                weights: Option<&[Self]>,
                reverse: bool,
            ) -> Result<Call<Self>, Error> {
                Call::pushed(program, request, points, weights, reverse)
            }
            fn run(
                call: &Call<Self>,
                x: ArrayView2<Self>,
                out: JetMut<'_, Self>,
                lent: bool,
                go_on: Option<GoOn<'_>>,
            ) {
                call.run(x, out, lent, go_on);
            }
            fn evaluate_tile(call: &Call<Self>, ws: &mut Workspace<Self>, out: &mut [&mut [Self]]) {
                call.evaluate_tile(ws, out);
            }
            fn pull_back_tile(
                call: &Call<Self>,
                (ws, rs): (&mut Workspace<Self>, &mut ReverseSpace<Self>),
                cotangents: &[&[Self]],
                sum: &mut GradientSum<Self>,
                x_bar: &mut [Self],
            ) {
                call.pull_back_tile(ws, rs, cotangents, sum, x_bar);
            }
            fn finish(sum: GradientSum<Self>, call: &Call<Self>) -> Vec<Self> {
                sum.finish(call)
            }
            fn forward(program: &Program<Self>, u: &Jet<Self>) -> Result<Jet<Self>, Error> {
                compose::forward(program, u)
            }
            fn backward(program: &Program<Self>, u: ArrayView2<Self>, g: &Jet<Self>) -> Result<Jet<Self>, Error> {
                compose::backward(program, u, g)
            }
        }
    )*};
}
compiled!(f32, f64);
