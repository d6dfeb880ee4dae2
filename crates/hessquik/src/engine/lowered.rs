//! What a network keeps from call to call: its layers in the one form, and the last requests resolved against them.
use super::call::{Call, Sink, Task};
use super::kind::Kind;
use super::program::Program;
use super::recent::Recent;
use super::start::Start;
use crate::resolve::{resolve, scheduled};
use crate::{Error, Layer, Real, Request};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// How large a request that is kept may be in bytes when resolved: it then holds directions as they pass the first layer, and
/// lists of entries.
pub(super) const LARGEST: usize = 4 << 20;

/// A network as the engine runs it, with its last requests: resolving one takes longer than a call of few points.
#[derive(Debug)]
pub struct Lowered<F> {
    program: Arc<Program<F>>,
    /// Locked for as long as it takes to compare requests.
    calls: Mutex<Recent<F, Arc<Call<F>>>>,
    /// Pullbacks of many points by a schedule.
    scheduled: Mutex<Recent<F, Arc<Call<F>>>>,
    /// The same network as a graph, where a request wants one.
    graph: OnceLock<Arc<Program<F>>>,
}

impl<F> Clone for Lowered<F> {
    /// The same program; requests are kept anew, so that copies do not wait for each other.
    fn clone(&self) -> Self {
        Self {
            program: self.program.clone(),
            calls: Mutex::default(),
            scheduled: Mutex::default(),
            graph: self.graph.clone(),
        }
    }
}

impl<F: Real> Lowered<F> {
    pub(crate) fn new(program: Program<F>) -> Self {
        Self {
            program: Arc::new(program),
            calls: Mutex::default(),
            scheduled: Mutex::default(),
            graph: OnceLock::new(),
        }
    }

    pub(crate) fn program(&self) -> &Arc<Program<F>> {
        &self.program
    }

    /// The network as a graph.
    pub(crate) fn as_graph<L: Layer<F> + ?Sized>(&self, layer: &L) -> Result<Arc<Program<F>>, Error> {
        if self.graph.get().is_none() {
            let program =
                Arc::new(Program::of_graph(layer, self.program.memory.apart(), self.program.schedules.clone())?);
            return Ok(self.graph.get_or_init(|| program).clone());
        }
        Ok(self.graph.get().expect("looked at above").clone())
    }

    /// `request` resolved, anew only if it is not among the last.
    pub(crate) fn call<L: Layer<F> + ?Sized>(
        &self,
        layer: &L,
        request: &Request<F>,
        reverse: bool,
    ) -> Result<Arc<Call<F>>, Error> {
        let new = || resolve(self.program.clone(), &|| self.as_graph(layer), request, reverse);
        kept(&self.calls, request, reverse, new)
    }

    /// The pullback of `request` by a schedule, anew only if it is not among the last.
    pub(crate) fn scheduled<L: Layer<F> + ?Sized>(
        &self,
        layer: &L,
        request: &Request<F>,
    ) -> Result<Arc<Call<F>>, Error> {
        let new = || scheduled(self.as_graph(layer)?, self.program.clone(), request);
        kept(&self.scheduled, request, true, new)
    }
}

fn lock<F, T>(calls: &Mutex<Recent<F, T>>) -> MutexGuard<'_, Recent<F, T>> {
    // nothing that runs under the lock leaves the list half changed
    calls.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What is kept for a request, or `new`, which then is kept.
fn kept<F: Real>(
    calls: &Mutex<Recent<F, Arc<Call<F>>>>,
    request: &Request<F>,
    reverse: bool,
    new: impl FnOnce() -> Result<Call<F>, Error>,
) -> Result<Arc<Call<F>>, Error> {
    if let Some(call) = lock(calls).find(request, reverse) {
        return Ok(call);
    }
    let call = Arc::new(new()?);
    if bytes(&call) + request.bytes() <= LARGEST {
        lock(calls).keep(request, reverse, call.clone());
    }
    Ok(call)
}

/// Bytes that a call holds beside its program, about.
fn bytes<F: Real>(call: &Call<F>) -> usize {
    let start = |s: &Start<F>| {
        let expand = s.expand.as_ref().map_or(0, Vec::len);
        let fixed: usize = s.fixed.iter().map(|fixed| fixed.through_m.len()).sum();
        size_of::<F>() * (s.rows.len() + s.through_m.len() + s.through_s.len() + expand + fixed)
    };
    let sink = |s: &Sink<F>| match s {
        Sink::All => 0,
        Sink::Slots(list) => size_of_val(&list[..]),
        Sink::Sum(list) => size_of_val(&list[..]),
    };
    let kind = |kind: &Kind<F>| match kind {
        Kind::Full { .. } => 0,
        Kind::Pairs { pairs, .. } => size_of_val(&pairs[..]),
        Kind::Trace { signs } => size_of_val(&signs[..]),
        Kind::Sum { terms, .. } => size_of_val(&terms[..]),
        Kind::Form { matrix, .. } => size_of_val(&matrix[..]),
    };
    let task = |t: &Task<F>| {
        let starts: usize = [&t.start].into_iter().chain(&t.pivots).map(start).sum();
        starts + kind(&t.kind) + t.sinks.iter().map(|(_, s)| sink(s)).sum::<usize>()
    };
    let own = [&call.v, &call.u].into_iter().flatten().map(Vec::len).sum::<usize>();
    let own = own + call.outer.as_ref().map_or(0, |o| o.len());
    size_of::<F>() * own + call.tasks.iter().map(task).sum::<usize>() + call.along.as_ref().map_or(0, start)
}

#[cfg(test)]
mod tests {
    use super::super::recent::KEPT;
    use super::*;
    use crate::{Activation, Init, fully_connected};
    use ndarray::{Array2, array};

    #[test]
    #[cfg_attr(miri, ignore = "factors a large operator, in hours")]
    fn requests_are_kept_and_told_apart_to_the_last_bit() {
        let network = fully_connected::<f64>(&[2, 3, 1], Activation::Tanh, &mut Init::seed(0)).unwrap();
        let lowered = network.lowered().unwrap();
        let along = |a: f64| Request::new().laplacian().directions(array![[a, 1.0]]);
        let of = |request: &Request<f64>| lowered.call(&network, request, false).unwrap();
        let zero = of(&along(0.0));
        assert!(Arc::ptr_eq(&zero, &of(&along(0.0))));
        assert!(!Arc::ptr_eq(&zero, &of(&along(-0.0))));
        assert!(Arc::ptr_eq(&of(&along(f64::NAN)), &of(&along(f64::NAN))));
        assert!(!Arc::ptr_eq(&zero, &lowered.call(&network, &along(0.0), true).unwrap()));
        assert!(Arc::ptr_eq(&zero, &of(&along(0.0))));
        // the one used last stays, the one not used for longest goes
        for i in 0..2 * KEPT {
            of(&along(i as f64));
            assert!(Arc::ptr_eq(&zero, &of(&along(0.0))));
        }
        assert_eq!(lock(&lowered.calls).len(), KEPT);
        // what is large is resolved anew
        let large = Request::new().laplacian().directions(Array2::ones((LARGEST / 8, 2)));
        assert!(!Arc::ptr_eq(&of(&large), &of(&large)));
    }
}
