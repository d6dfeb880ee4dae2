//! Layers alone: a jet continued through a network, and a network put before a function of its output.
use super::kind::Kind;
use super::program::Program;
use super::sweeps::{adjoints, tangents, values};
use super::tape::{Buffer, Tape, fit};
use super::tile::{TaskTape, carry_through, one_segment};
use crate::jet::{Contents, allocate};
use crate::{Error, Jet, Real};
use ndarray::{Array, ArrayView2, ArrayView3, ArrayView4, Axis, Dimension, IntoDimension, Slice, s};

/// Why a network that is its forward pass is not composed jet by jet.
const COMPOSED: &str = "a layer defined by its forward pass cannot continue the jet of another function; make one network of both, \
    or apply both in one forward pass (`Var::apply`)";

/// Samples that are composed at once.
const TILE: usize = 32;

fn rows<F>(x: &ArrayView2<'_, F>, from: usize) -> std::ops::Range<usize> {
    from..(from + TILE).min(x.nrows())
}

/// The jet of `program(u)` from that of `u`: tangents and Hessian carried forward from those given.
pub(crate) fn forward<F: Real>(program: &Program<F>, u: &Jet<F>) -> Result<Jet<F>, Error> {
    if program.graph.is_some() {
        return Err(Error::Request(COMPOSED.into()));
    }
    let (n, m, depth) = (program.width(0), program.width(program.depth()), program.depth());
    let missing = |what: &str| Error::Request(format!("the jet of u has no {what}"));
    let value = u.value.as_ref().ok_or_else(|| missing("value"))?;
    let ns = value.nrows();
    if value.ncols() != n {
        return Err(Error::shape("the value of u", value.shape(), format!("[n_s, {n}]")));
    }
    if u.hessian.is_some() && u.gradient.is_none() {
        return Err(missing("gradient"));
    }
    let k = u.gradient.as_ref().map_or(0, |g| g.dim().1);
    if let Some(g) = &u.gradient
        && g.dim() != (ns, k, n)
    {
        return Err(Error::shape("the gradient of u", g.shape(), format!("[{ns}, k, {n}]")));
    }
    if let Some(h) = &u.hessian
        && h.dim() != (ns, k, k, n)
    {
        return Err(Error::shape("the Hessian of u", h.shape(), format!("[{ns}, {k}, {k}, {n}]")));
    }
    let mut out = Jet { value: Some(zeros("the value", [ns, m])?), ..Jet::default() };
    if u.gradient.is_some() {
        out.gradient = Some(zeros("the gradient", [ns, k, m])?);
    }
    if u.hessian.is_some() {
        out.hessian = Some(zeros("the Hessian", [ns, m, k, k])?.permuted_axes([0, 2, 3, 1]));
    }
    let order = usize::from(u.gradient.is_some()) + usize::from(u.hessian.is_some());
    let (mut tape, mut tt) = (Tape::default(), TaskTape::default());
    for from in (0..ns).step_by(TILE) {
        let range = rows(&value.view(), from);
        let part = Slice::from(range.clone());
        load(&mut tape, value.slice_axis(Axis(0), part));
        let count = tape.ns;
        values(program, order, &mut tape);
        let result = ArrayView2::from_shape((count, m), &tape.u[depth][..count * m]).expect("the last state");
        assign(out.value.as_mut().map(|v| v.slice_axis_mut(Axis(0), part)), result.iter());
        let Some(gradient) = &u.gradient else { continue };
        (tt.prefix.a, tt.prefix.b, tt.prefix.r) = (0, depth, k);
        tt.prefix.t.resize_with(1, Buffer::default);
        let t = gradient.slice_axis(Axis(0), part);
        fit(&mut tt.prefix.t[0], t.len()).iter_mut().zip(t.iter()).for_each(|(to, &t)| *to = t);
        tangents(program, None, true, &mut tape, &mut tt.prefix);
        assign(out.gradient.as_mut().map(|g| g.slice_axis_mut(Axis(0), part)), tt.prefix.t[depth].iter());
        let Some(hessian) = &u.hessian else { continue };
        let kind = Kind::Full { k };
        tt.h.resize_with(1, Buffer::default);
        let carried = fit(&mut tt.h[0], count * kind.rows() * n);
        let h = hessian.slice_axis(Axis(0), part);
        for s in 0..count {
            // a Hessian is symmetric; of one that is not quite, take the symmetric part
            kind.each(|t| {
                for j in 0..n {
                    let both = h[[s, t.a, t.b, j]] + h[[s, t.b, t.a, j]];
                    carried[(s * kind.rows() + t.row) * n + j] = F::of(0.5) * both;
                }
            });
        }
        carry_through(program, &kind, depth, false, &mut tape, &mut tt);
        let mut to = out.hessian.as_mut().expect("allocated above").slice_axis_mut(Axis(0), part);
        for s in 0..count {
            kind.each(|t| {
                for o in 0..m {
                    let h = tt.h[depth][(s * kind.rows() + t.row) * m + o];
                    to[[s, t.a, t.b, o]] = h;
                    to[[s, t.b, t.a, o]] = h;
                }
            });
        }
    }
    Ok(out)
}

/// Gradient and Hessian of `g(program(u))` with respect to `u` from those of `g`: adjoints from the gradient given, and
/// one segment that lifts the Hessian given.
pub(crate) fn backward<F: Real>(program: &Program<F>, u: ArrayView2<F>, g: &Jet<F>) -> Result<Jet<F>, Error> {
    if program.graph.is_some() {
        return Err(Error::Request(COMPOSED.into()));
    }
    let (ns, n, n_out, depth) = (u.nrows(), program.width(0), program.width(program.depth()), program.depth());
    let gradient = g.gradient.as_ref().ok_or_else(|| Error::Request("the jet of g has no gradient".into()))?;
    let q = gradient.dim().2;
    if gradient.dim() != (ns, n_out, q) {
        return Err(Error::shape("the gradient of g", gradient.shape(), format!("[{ns}, {n_out}, m]")));
    }
    if let Some(h) = &g.hessian
        && h.dim() != (ns, n_out, n_out, q)
    {
        return Err(Error::shape("the Hessian of g", h.shape(), format!("[{ns}, {n_out}, {n_out}, {q}]")));
    }
    let mut out = Jet { value: g.value.clone(), ..Jet::default() };
    let mut gradient_out = zeros("the gradient", [ns, q, n])?.permuted_axes([0, 2, 1]);
    let mut hessian_out = match g.hessian {
        Some(_) => Some(zeros("the Hessian", [ns, q, n, n])?.permuted_axes([0, 2, 3, 1])),
        None => None,
    };
    let second = g.hessian.is_some();
    let (mut tape, mut tt) = (Tape::default(), TaskTape::default());
    let start = super::start::Start::identity(&program.stages);
    let mut slots = Buffer::default();
    for from in (0..ns).step_by(TILE) {
        let part = Slice::from(rows(&u, from));
        load(&mut tape, u.slice_axis(Axis(0), part));
        let count = tape.ns;
        values(program, 1 + usize::from(second), &mut tape);
        tape.g.resize_with(depth + 1, Buffer::default);
        let given: ArrayView3<F> = gradient.slice_axis(Axis(0), part).permuted_axes([0, 2, 1]);
        fit(&mut tape.g[depth], given.len()).iter_mut().zip(given.iter()).for_each(|(to, &g)| *to = g);
        adjoints(program, q, 0, second, &[], &mut tape);
        let result = ArrayView3::from_shape((count, q, n), &tape.g[0][..count * q * n]).expect("the first adjoint");
        gradient_out.slice_mut(s![rows(&u, from), .., ..]).assign(&result.permuted_axes([0, 2, 1]));
        let (Some(hessian), Some(to)) = (&g.hessian, &mut hessian_out) else { continue };
        tt.segments.resize_with(1, Default::default);
        let segment = &mut tt.segments[0];
        (segment.a, segment.b, segment.r) = (0, depth, n);
        let given: ArrayView4<F> = hessian.slice_axis(Axis(0), part).permuted_axes([0, 3, 1, 2]);
        fit(&mut segment.core, given.len()).iter_mut().zip(given.iter()).for_each(|(to, &g)| *to = g);
        let h = fit(&mut slots, count * q * n * n);
        let kind = Kind::Full { k: n };
        one_segment(program, q, Some(&start), &kind, true, &mut tape, segment, h, &mut tt.scratch);
        let h = ArrayView4::from_shape((count, q, n, n), &*h).expect("the slots");
        to.slice_mut(s![rows(&u, from), .., .., ..]).assign(&h.permuted_axes([0, 2, 3, 1]));
    }
    (out.gradient, out.hessian) = (Some(gradient_out), hessian_out);
    Ok(out)
}

/// Zeros, or an error that says how much was asked for.
fn zeros<F: Real, D: Dimension>(what: &str, shape: impl IntoDimension<Dim = D>) -> Result<Array<F, D>, Error> {
    allocate(format_args!("{what} of a composition"), shape, Contents::Zeros)
}

fn load<F: Real>(tape: &mut Tape<F>, x: ArrayView2<F>) {
    tape.ns = x.nrows();
    tape.u.resize_with(1, Buffer::default);
    fit(&mut tape.u[0], x.len()).iter_mut().zip(x.iter()).for_each(|(to, &x)| *to = x);
}

fn assign<'a, F: Real, D: ndarray::Dimension>(
    to: Option<ndarray::ArrayViewMut<'_, F, D>>,
    from: impl Iterator<Item = &'a F>,
) {
    if let Some(mut to) = to {
        to.iter_mut().zip(from).for_each(|(to, &f)| *to = f);
    }
}
