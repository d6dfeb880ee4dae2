//! Requests resolved against networks, and the arrays of calls: by sweeps over a chain of layers or by the schedule of a
//! graph, whichever costs less.
use crate::engine::{Call, Field, GoOn, MANY, Memory, Program, Schedules};
use crate::evaluate::{Gradients, Tangent};
use crate::jet::{Contents, allocate, four_axes};
use crate::{Error, JetMut, JetView, Layer, Real, Request};
use ndarray::{Array1, Array2, ArrayView2, ArrayView4, Axis, Slice, concatenate};
use std::ops::Range;
use std::sync::Arc;

pub(crate) fn program<F: Real, L: Layer<F> + ?Sized>(layer: &L) -> Result<Arc<Program<F>>, Error> {
    match layer.lowered() {
        Some(lowered) => Ok(lowered.program().clone()),
        None => Ok(Arc::new(Program::lower(layer, Memory::default(), Schedules::default())?)),
    }
}

pub(crate) fn check_points<F: Real>(program: &Program<F>, x: &ArrayView2<F>) -> Result<(), Error> {
    let d = program.width(0);
    if x.ncols() == d { Ok(()) } else { Err(Error::shape("the array of points", x.shape(), format!("[n_s, {d}]"))) }
}

/// `request` resolved, by the network itself where it keeps what was resolved; checks the points if there are any.
pub(crate) fn call<F: Real, L: Layer<F> + ?Sized>(
    layer: &L,
    x: Option<ArrayView2<F>>,
    request: &Request<F>,
    reverse: bool,
) -> Result<Arc<Call<F>>, Error> {
    let program = program(layer)?;
    x.map_or(Ok(()), |x| check_points(&program, &x))?;
    match layer.lowered() {
        Some(lowered) => lowered.call(layer, request, reverse),
        None => Ok(Arc::new(resolve(
            program,
            &|| Ok(Arc::new(Program::of_graph(layer, Memory::default(), Schedules::default())?)),
            request,
            reverse,
        )?)),
    }
}

/// `request` resolved by sweeps over the chain of layers, or by a schedule of the graph where that costs less, or where it
/// is the only way.
pub(crate) fn resolve<F: Real>(
    program: Arc<Program<F>>,
    graph: &dyn Fn() -> Result<Arc<Program<F>>, Error>,
    request: &Request<F>,
    reverse: bool,
) -> Result<Call<F>, Error> {
    let request = &*request.of_matrix(program.width(0))?;
    if program.graph.is_some() {
        return F::resolve(program, request, reverse, false);
    }
    if request.higher_order() {
        return F::resolve(graph()?, request, reverse, false);
    }
    let schedules = program.schedules.clone();
    let chain = F::resolve(program, request, reverse, false)?;
    if !chain.may_cost_less(request) || schedules.verdict(request, reverse) == Some(false) {
        return Ok(chain);
    }
    // a smooth map of the user's own has no graph
    let Ok(graph) = graph() else {
        schedules.decide(request, reverse, false);
        return Ok(chain);
    };
    let other = match F::resolve(graph, request, reverse, false) {
        // as of a direction for each of very many inputs
        Err(Error::OutOfMemory { .. }) => {
            schedules.decide(request, reverse, false);
            return Ok(chain);
        }
        other => other?,
    };
    let better = chain.gives_way_to(&other);
    schedules.decide(request, reverse, better);
    Ok(if better { other.instead_of(chain.program, request) } else { chain })
}

/// The pullback of `request` by the schedule of a graph, in the place of sweeps over the layers `chain`.
pub(crate) fn scheduled<F: Real>(
    graph: Arc<Program<F>>,
    chain: Arc<Program<F>>,
    request: &Request<F>,
) -> Result<Call<F>, Error> {
    let request = &*request.of_matrix(chain.width(0))?;
    Ok(F::resolve(graph, request, true, false)?.instead_of(chain, request))
}

/// The network as a graph, if that is how many points are pulled back where `forward` evaluates them.
pub(crate) fn graph_of_many<F: Real, L: Layer<F> + ?Sized>(
    layer: &L,
    forward: &Call<F>,
    request: &Request<F>,
) -> Option<Arc<Program<F>>> {
    if !forward.is_narrow(request) {
        return None;
    }
    match layer.lowered() {
        Some(lowered) => lowered.as_graph(layer).ok(),
        None => Program::of_graph(layer, Memory::default(), Schedules::default()).ok().map(Arc::new),
    }
}

/// The pullback of `request` at points `x`, resolved.
pub(crate) fn reversed<F: Real, L: Layer<F> + ?Sized>(
    layer: &L,
    x: ArrayView2<F>,
    request: &Request<F>,
) -> Result<Arc<Call<F>>, Error> {
    let chain = call(layer, Some(x), request, true)?;
    if x.nrows() < MANY || !chain.is_narrow(request) {
        return Ok(chain);
    }
    match layer.lowered() {
        Some(lowered) => lowered.scheduled(layer, request).or(Ok(chain)),
        None => Ok(chain),
    }
}

/// The call that gives tangents of the results, and the points that it takes.
pub(crate) fn pushed<F: Real, L: Layer<F> + ?Sized>(
    layer: &L,
    x: ArrayView2<F>,
    request: &Request<F>,
    tangent: Tangent<'_, F>,
    reverse: bool,
) -> Result<(Call<F>, Array2<F>), Error> {
    let program = match layer.lowered() {
        Some(lowered) if lowered.program().graph.is_some() => lowered.program().clone(),
        Some(lowered) => lowered.as_graph(layer)?,
        None => Arc::new(Program::of_graph(layer, Memory::default(), Schedules::default())?),
    };
    check_points(&program, &x)?;
    if let Some(rates) = tangent.input.filter(|rates| rates.dim() != x.dim()) {
        return Err(Error::shape("the tangent of the points", rates.shape(), format!("{:?}", x.shape())));
    }
    if let Some(rates) = tangent.weights.filter(|rates| rates.len() != program.n_weights) {
        return Err(Error::shape("the tangent of the weights", rates.shape(), format!("[{}]", program.n_weights)));
    }
    let rates = tangent.weights.map(|rates| rates.to_vec());
    let call = F::pushed(&program, request, tangent.input.is_some(), rates.as_deref(), reverse)?;
    let x = match tangent.input {
        Some(rates) => concatenate(Axis(1), &[x, rates]).expect("of the same shape"),
        None => x.to_owned(),
    };
    Ok((call, x))
}

/// Points of a stream whose results are held at once: whole tiles, 16 MiB of results if that is one to 64 tiles.
pub(crate) fn chunk<F: Real>(call: &Call<F>) -> usize {
    const BYTES: usize = 16 << 20;
    let entries: usize = call.fields.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
    (BYTES / (entries.max(1) * size_of::<F>() * call.tile)).clamp(1, 64) * call.tile
}

/// That the arrays lent are those of the results of `call` at `ns` points.
pub(crate) fn check_lent<F: Real>(call: &Call<F>, ns: usize, out: &mut JetMut<'_, F>) -> Result<(), Error> {
    let (mut lent, mut wrong) = ([false; Field::COUNT], None);
    out.each(|field, array| {
        if let Some(at) = place(call, field, (ns, array.shape()), "array lent", &mut wrong) {
            lent[at] = true;
        }
    });
    wrong.map_or(Ok(()), Err)?;
    match call.fields.iter().zip(lent).find(|(_, lent)| !lent) {
        Some(((field, _), _)) => {
            Err(Error::Request(format!("the request has {field}, but no output array was given for it")))
        }
        None => Ok(()),
    }
}

/// The loss whose derivatives are these cotangents, tile by tile, for [`reverse`].
#[allow(clippy::type_complexity)]
pub(crate) fn fill_from<'a, F: Real>(
    call: &Call<F>,
    ns: usize,
    cotangent: &JetView<'a, F>,
) -> Result<impl Fn(Range<usize>, &[&mut [F]], &mut [&mut [F]]) -> F + Sync + use<'a, F>, Error> {
    let (mut given, mut wrong): ([Option<ArrayView4<F>>; Field::COUNT], _) = (Default::default(), None);
    cotangent.each(|field, array| {
        if let Some(at) = place(call, field, (ns, array.shape()), "cotangent given", &mut wrong) {
            given[at] = Some(array);
        }
    });
    wrong.map_or(Ok(()), Err)?;
    Ok(move |range: Range<usize>, _: &[&mut [F]], bars: &mut [&mut [F]]| {
        for (given, bar) in given.iter().zip(bars) {
            if let Some(given) = given {
                let rows = given.slice_axis(Axis(0), Slice::from(range.clone()));
                bar.iter_mut().zip(rows.iter()).for_each(|(b, &g)| *b = g);
            }
        }
        F::zero()
    })
}

/// The place of a field among the results of `call`, for an array of this shape, in memory order with four axes, at `ns`
/// points. `wrong` is the first error of several fields, with logical shapes.
fn place<F: Real>(
    call: &Call<F>,
    field: Field,
    (ns, found): (usize, &[usize]),
    what: &str,
    wrong: &mut Option<Error>,
) -> Option<usize> {
    let Some(at) = call.position(field) else {
        wrong.get_or_insert_with(|| Error::Request(format!("{what} for {field}, which is not part of the request")));
        return None;
    };
    let shape = &call.fields[at].1;
    let wanted = four_axes(ns, shape);
    if found != wanted {
        let logical = |s: &[usize]| [&s[..1], &s[2..=shape.len()], &s[1..2]].concat();
        wrong.get_or_insert_with(|| {
            Error::shape(format!("the {what} for {field}"), &logical(found), format!("{:?}", logical(&wanted)))
        });
    }
    Some(at)
}

/// The gradients of a loss that sees the results of a range of points, and sets their cotangents.
pub(crate) fn loss_gradients<F: Real>(
    call: &Call<F>,
    x: ArrayView2<F>,
    loss: impl Fn(Range<usize>, &JetView<'_, F>, &mut JetMut<'_, F>) -> F + Sync,
) -> Result<(F, Gradients<F>), Error> {
    let loss = |range: Range<usize>, out: &[&mut [F]], bars: &mut [&mut [F]]| {
        let bars = bars.iter_mut().map(|b| &mut **b);
        loss(range.clone(), &JetView::over(call, range.len(), out), &mut JetMut::over(call, range.len(), bars))
    };
    reverse(call, x, loss, None)
}

pub(crate) fn reverse<F: Real>(
    call: &Call<F>,
    x: ArrayView2<F>,
    loss: impl Fn(Range<usize>, &[&mut [F]], &mut [&mut [F]]) -> F + Sync,
    go_on: Option<GoOn<'_>>,
) -> Result<(F, Gradients<F>), Error> {
    let what = format_args!("the gradient of the points");
    let mut input: Array2<F> = allocate(what, x.raw_dim(), Contents::Unwritten)?;
    let x_bar = input.as_slice_mut().expect("fresh arrays are contiguous");
    let (total, weights) = call.reverse(x, x_bar, loss, go_on);
    Ok((total, Gradients { weights: Array1::from_vec(weights), input }))
}
