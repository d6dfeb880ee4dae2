//! A request resolved, for executors outside of this crate.
use super::{Buffer, Op, Reading, Step, compile};
use crate::{Error, Graph, Real, Request};

/// A request on a graph as a list of steps. It depends on sizes, on the request and on constants, not on weights.
///
/// ```
/// use hessquik::schedule::{Schedule, Source};
/// use hessquik::{Activation, Graph, Init, Request, fully_connected};
///
/// let network = fully_connected::<f64>(&[2, 8, 1], Activation::Tanh, &mut Init::seed(0))?;
/// let schedule = Schedule::new(&Graph::of(&network)?, &Request::new().laplacian())?;
/// let points = schedule.buffers.iter().find(|b| matches!(b.source, Source::Points)).expect("a network of points");
/// assert_eq!((points.n, points.rows, points.shared), (2, 1, false));
/// // the Laplacian (1) of one output
/// assert_eq!(schedule.readings[0].shape, [1]);
/// for step in &schedule.steps {
///     println!("%{} = {}", step.out, step.op);
/// }
/// # Ok::<(), hessquik::Error>(())
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Schedule<F> {
    /// The buffers, by their place in this list.
    pub buffers: Vec<Buffer<F>>,
    /// The steps, in order; each reads what sources or steps before it have written.
    pub steps: Vec<Step<F>>,
    /// Where each result of the request is.
    pub readings: Vec<Reading>,
}

impl<F: Real> Schedule<F> {
    /// The cheapest list of steps for `request`.
    ///
    /// # Errors
    /// A request that is invalid for the graph, as [`Evaluate::evaluate`](crate::Evaluate::evaluate); a factored Hessian,
    /// which is not made of steps; [`Error::Order`] if an activation lacks derivatives of an order that is needed.
    pub fn new(graph: &Graph<F>, request: &Request<F>) -> Result<Self, Error> {
        let compiled = compile(graph, request, false)?;
        for step in &compiled.list.steps {
            if let Op::Act { act, order, .. } = &step.op {
                act.check_order(*order)?;
            }
        }
        let (buffers, steps) = (compiled.list.buffers, compiled.list.steps);
        Ok(Self { buffers, steps, readings: compiled.readings })
    }
}
