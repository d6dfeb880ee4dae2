//! What a network keeps when its weights change: schedules depend on its graph and on the request alone.
use super::lowered::LARGEST;
use super::recent::Recent;
use crate::execute::{How, Plan};
use crate::graph::Graph;
use crate::{Error, Layer, Real, Request};
use ndarray::ArrayD;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The schedules of a network, shared by its copies.
#[derive(Clone, Debug)]
pub(crate) struct Schedules<F>(Arc<Mutex<Kept<F>>>);

impl<F> Default for Schedules<F> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Kept::of(None))))
    }
}

#[derive(Debug)]
struct Kept<F> {
    /// The graph of the plans.
    graph: Option<Arc<Graph<F>>>,
    /// The shapes of the weights of a network whose forward pass is settled: its graph depends on them alone.
    settled: Option<Vec<Vec<usize>>>,
    /// Whether the network has no other form.
    forward: bool,
    plans: Recent<F, Arc<Plan<F>>>,
    /// Whether a schedule is worth taking instead of sweeps over the layers.
    verdicts: Recent<F, bool>,
}

impl<F> Kept<F> {
    fn of(graph: Option<Arc<Graph<F>>>) -> Self {
        Self { graph, settled: None, forward: false, plans: Recent::default(), verdicts: Recent::default() }
    }
}

impl<F: Real> Schedules<F> {
    fn lock(&self) -> MutexGuard<'_, Kept<F>> {
        // nothing that runs under the lock leaves a list half changed
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The graph of this network, traced unless it is known to be that before: then its schedules hold.
    pub fn graph<L: Layer<F> + ?Sized>(
        &self,
        layer: &L,
        weights: &[(String, &ArrayD<F>)],
    ) -> Result<Arc<Graph<F>>, Error> {
        let shapes = || weights.iter().map(|(_, w)| w.shape());
        {
            let kept = self.lock();
            if let (Some(graph), Some(settled)) = (&kept.graph, &kept.settled)
                && shapes().eq(settled.iter().map(|shape| &shape[..]))
            {
                return Ok(graph.clone());
            }
        }
        let graph = Arc::new(Graph::of(layer)?);
        let settled = layer.settled().then(|| shapes().map(<[usize]>::to_vec).collect());
        let mut kept = self.lock();
        let graph = match kept.graph.as_ref().filter(|known| known.same(&graph)) {
            Some(known) => known.clone(),
            None => {
                *kept = Kept { forward: kept.forward, ..Kept::of(Some(graph.clone())) };
                graph
            }
        };
        kept.settled = settled;
        Ok(graph)
    }

    /// Whether the network is known to have no other form than its graph, whatever its weights are.
    pub fn forward(&self) -> bool {
        let kept = self.lock();
        kept.forward && kept.settled.is_some()
    }

    /// Notes that it has none.
    pub fn is_forward(&self) {
        self.lock().forward = true;
    }

    /// The schedule of a request, compiled unless it is kept.
    pub fn plan(&self, graph: &Arc<Graph<F>>, request: &Request<F>, reverse: bool) -> Result<Arc<Plan<F>>, Error> {
        let own = |kept: &Kept<F>| kept.graph.as_ref().is_some_and(|known| Arc::ptr_eq(known, graph));
        {
            let mut kept = self.lock();
            if own(&kept)
                && let Some(plan) = kept.plans.find(request, reverse)
            {
                return Ok(plan);
            }
        }
        let plan = Arc::new(Plan::new(graph, request, How { reverses: reverse, ..How::default() })?);
        let mut kept = self.lock();
        if own(&kept) && request.bytes() <= LARGEST {
            kept.plans.keep(request, reverse, plan.clone());
        }
        Ok(plan)
    }

    /// Whether a schedule is worth taking instead of sweeps over the layers, where that is known. It is a matter of speed
    /// alone, so it need not be forgotten when a layer changes its form.
    pub fn verdict(&self, request: &Request<F>, reverse: bool) -> Option<bool> {
        self.lock().verdicts.find(request, reverse)
    }

    /// Notes it.
    pub fn decide(&self, request: &Request<F>, reverse: bool, verdict: bool) {
        if request.bytes() <= LARGEST {
            self.lock().verdicts.keep(request, reverse, verdict);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::engine::Schedules;
    use crate::{Activation, Init};
    use crate::{Evaluate, Layer, Network, Request, Var, Weights, fully_connected};
    use ndarray::{ArrayD, array};
    use std::sync::Arc;

    /// `sin(u K)`, and `cos` for a negative weight: a graph that changes with its weights.
    #[derive(Clone, Debug)]
    struct Switch(Weights<f64>);

    impl Layer<f64> for Switch {
        fn name(&self) -> String {
            "switch".into()
        }
        fn dim_input(&self) -> usize {
            1
        }
        fn dim_output(&self) -> usize {
            1
        }
        fn weights(&self) -> Vec<(String, &ArrayD<f64>)> {
            self.0.list()
        }
        fn weights_mut(&mut self) -> Vec<(String, &mut ArrayD<f64>)> {
            self.0.list_mut()
        }
        fn forward_pass(&self, u: Var<f64>) -> Var<f64> {
            let negative = self.weights()[0].1[[0, 0]] < 0.0;
            u.dot("K").act(if negative { Activation::Cos } else { Activation::Sin })
        }
    }

    #[test]
    fn schedules_outlive_weights_but_not_their_graph() {
        let layer = Switch(Weights::new().with("K", array![[1.0]]));
        let mut network = Network::bare(Box::new(layer)).unwrap();
        let request = Request::new().value().laplacian();
        let plan = |network: &Network<f64>| {
            let program = network.program().unwrap();
            let (graph, _) = program.graph.as_ref().unwrap();
            program.schedules.plan(graph, &request, false).unwrap()
        };
        let x = array![[0.3]];
        let before = plan(&network);
        let mut check = |k: f64, same: bool| {
            network.set_flat_weights(array![k].view()).unwrap();
            let jet = network.evaluate(&x, &request).unwrap();
            let (value, laplacian) = (jet.value.unwrap()[[0, 0]], jet.laplacian.unwrap()[[0, 0]]);
            let wanted = if k < 0.0 { (0.3 * k).cos() } else { (0.3 * k).sin() };
            assert!((value - wanted).abs() < 1e-15 && (laplacian + k * k * wanted).abs() < 1e-14, "{k}");
            assert_eq!(Arc::ptr_eq(&before, &plan(&network)), same, "{k}");
        };
        check(2.0, true);
        check(-2.0, false);
        check(3.0, false);
    }

    #[test]
    fn verdicts_are_kept_by_request_and_direction() {
        let schedules = Schedules::<f64>::default();
        let (a, b) = (Request::new().laplacian(), Request::new().hessian());
        schedules.decide(&a, false, true);
        schedules.decide(&a, true, false);
        assert_eq!([schedules.verdict(&a, false), schedules.verdict(&a, true)], [Some(true), Some(false)]);
        assert_eq!(schedules.verdict(&b, false), None);
        // a network notes them when it is first asked, and keeps them when its weights change
        let mut network = fully_connected::<f64>(&[2, 4, 1], Activation::Tanh, &mut Init::seed(0)).unwrap();
        network.evaluate(&array![[0.1, 0.2]], &a).unwrap();
        let noted = network.program().unwrap().schedules.verdict(&a, false);
        let weights = network.flat_weights() * 2.0;
        network.set_flat_weights(weights.view()).unwrap();
        assert!(noted.is_some() && network.program().unwrap().schedules.verdict(&a, false) == noted);
    }
}
