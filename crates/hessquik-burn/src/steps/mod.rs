//! The executor of schedules on tensors: one function for each kind of step, differentiable by Burn's autodiff.
//!
//! A buffer of `n` features and `rows` rows is a tensor (samples, rows, n), with one sample where it is the same for all:
//! the product of all samples and rows with a weight is then one product of a tall matrix.
mod matrices;
mod route;
#[cfg(test)]
mod tests;

use crate::Error;
use crate::activation::jet;
use crate::tensors::{of_numbers, zeros};
use burn::tensor::{Int, Tensor, TensorData};
use hessquik::Activation;
use hessquik::schedule::{Block, Buffer, Id, Op, PickPlace, Reading, Schedule, Source, Step, Triples};
use matrices::{dot, gram, matrices};
use route::{pick, route};

/// Runs `schedule` at points x (n_s, d) with these weights, one after another: each result (n_s, entries), the entries in
/// the order of their readings.
pub(crate) fn run(schedule: &Schedule<f64>, theta: &Tensor<1>, x: &Tensor<2>) -> Result<Vec<Tensor<2>>, Error> {
    let mut machine = Machine::new(&schedule.buffers, theta, x);
    // a buffer is dropped after its last reader
    let mut readers = vec![0; schedule.buffers.len()];
    let operands = schedule.steps.iter().flat_map(|s| s.op.operands());
    operands.chain(schedule.readings.iter().map(|r| r.from)).for_each(|id| readers[id] += 1);
    let mut steps = &schedule.steps[..];
    while let Some((first, _)) = steps.split_first() {
        let (now, later) = steps.split_at(1 + followers(first, &steps[1..]));
        machine.together(now)?;
        for id in now.iter().flat_map(|step| step.op.operands()) {
            readers[id] -= 1;
            if readers[id] == 0 {
                machine.values[id] = None;
            }
        }
        steps = later;
    }
    schedule.readings.iter().map(|reading| machine.read(reading)).collect()
}

/// How many of the next steps are derivatives of the same activation at the same place.
fn followers<F>(first: &Step<F>, next: &[Step<F>]) -> usize {
    let Op::Act { z, act, .. } = &first.op else { return 0 };
    let settings = act.describe();
    let same = |step: &&Step<F>| match &step.op {
        Op::Act { z: other, act, .. } => {
            z == other && first.out != *z && settings.is_some() && act.describe() == settings
        }
        _ => false,
    };
    next.iter().take_while(same).count()
}

/// The buffers of a schedule while it runs.
struct Machine<'a> {
    buffers: &'a [Buffer<f64>],
    theta: &'a Tensor<1>,
    x: &'a Tensor<2>,
    values: Vec<Option<Tensor<3>>>,
}

impl<'a> Machine<'a> {
    fn new(buffers: &'a [Buffer<f64>], theta: &'a Tensor<1>, x: &'a Tensor<2>) -> Self {
        Self { buffers, theta, x, values: vec![None; buffers.len()] }
    }

    /// A buffer: as steps have left it, or from its source.
    fn get(&mut self, id: Id) -> Result<Tensor<3>, Error> {
        if self.values[id].is_none() {
            self.values[id] = Some(self.source(id)?);
        }
        Ok(self.values[id].clone().expect("set above"))
    }

    fn source(&self, id: Id) -> Result<Tensor<3>, Error> {
        let Buffer { n, rows, .. } = self.buffers[id];
        // numbers (n, rows) as rows of features
        let turned = |number: &dyn Fn(usize) -> f64| {
            let numbers = (0..rows * n).map(|at| number(at % n * rows + at / n));
            of_numbers(numbers, [1, rows, n], &self.x.device(), self.x.dtype())
        };
        Ok(match &self.buffers[id].source {
            Source::Points => self.x.clone().unsqueeze_dim(1),
            Source::Weight(from) => turned_rows(self.theta.clone().narrow(0, *from, n * rows).reshape([1, n, rows])),
            Source::Literal(numbers) => turned(&|at| numbers[at]),
            Source::Units(units) => turned(&|at| if units[at % rows] == at / rows { 1.0 } else { 0.0 }),
            // what no step has written yet
            Source::Steps => zeros([1, rows, n], self.x),
            other => {
                return Err(Error::Unsupported {
                    what: format!("a buffer of a schedule that comes from {other:?}"),
                    message: "this executor fills those of points, weights and constants".into(),
                });
            }
        })
    }

    /// Runs steps that are derivatives of one activation at one place, or one step of another kind.
    fn together(&mut self, steps: &[Step<f64>]) -> Result<(), Error> {
        let Op::Act { z, act, .. } = &steps[0].op else {
            let term = self.term(&steps[0])?;
            return self.put(&steps[0], term);
        };
        let orders: Vec<usize> =
            steps.iter().map(|s| if let Op::Act { order, .. } = s.op { order } else { 0 }).collect();
        let all = self.act(*z, act, &orders)?;
        steps.iter().zip(all).try_for_each(|(step, value)| self.put(step, value))
    }

    /// What a step computes, possibly with one row or sample where all have the same, or with rows that are to be summed.
    fn term(&mut self, step: &Step<f64>) -> Result<Tensor<3>, Error> {
        let out = step.out;
        let n = self.buffers[out].n;
        match &step.op {
            Op::Times { rows: Some(list), .. } | Op::Product { rows: Some(list), .. } if list.is_empty() => {
                Ok(zeros([1, 1, n], self.x))
            }
            Op::Move { x, c, blocks, rows } => self.moved([out, *x], *c, blocks.as_deref(), rows.as_deref()),
            Op::Add { s } => Ok(zeros([1, 1, n], self.x) + *s),
            Op::Act { z, act, order } => Ok(self.act(*z, act, &[*order])?.remove(0)),
            Op::Pick { place, x, z, len, inner } => self.picked(*place, *x, *z, [*len, *inner]),
            Op::Frozen { x } => self.frozen(*x),
            Op::Times { a, b, c, rows } => self.times(out, [*a, *b], *c, rows),
            Op::Product { place, a, b, dims, rows } => {
                let [a, b] = [self.rows_of(*a, rows, |t| t.a)?, self.rows_of(*b, rows, |t| t.b)?];
                Ok(self.meet(out, matrices(*place, a, b, *dims), rows))
            }
            Op::Dot { place, a, b } => Ok(dot(*place, self.get(*a)?, self.get(*b)?)),
            Op::Gram { place, operands, c } => {
                let [a, b, d] = *operands;
                Ok(gram(*place, [self.get(a)?, self.get(b)?, self.get(d)?], *c, operands[1] == operands[2]))
            }
            other => Err(Error::Unsupported {
                what: format!("a step of a schedule, {other}"),
                message: "this executor does not know its kind; evaluate on the device cpu".into(),
            }),
        }
    }

    /// Sets the buffer of a step to `term`, or adds it to what is there.
    fn put(&mut self, step: &Step<f64>, term: Tensor<3>) -> Result<(), Error> {
        let Buffer { rows, shared, n, .. } = self.buffers[step.out];
        let samples = if shared { 1 } else { self.x.dims()[0] };
        let term = if shared && term.dims()[0] > 1 { term.sum_dim(0) } else { term };
        let term = if rows == 1 && term.dims()[1] > 1 { term.sum_dim(1) } else { term };
        let value = match step.onto {
            // one row or sample meets all that are there
            true => self.get(step.out)? + term,
            false if term.dims() == [samples, rows, n] => term,
            false => term.expand([samples, rows, n]),
        };
        self.values[step.out] = Some(value);
        Ok(())
    }

    fn moved(
        &mut self,
        [out, x]: [Id; 2],
        c: f64,
        blocks: Option<&[Block]>,
        rows: Option<&[(usize, usize)]>,
    ) -> Result<Tensor<3>, Error> {
        let mut y = self.get(x)?;
        if let Some(blocks) = blocks {
            let places = blocks.iter().flat_map(|b| (0..b.len).map(|j| (b.to + j, b.from + j))).collect::<Vec<_>>();
            y = route(y, 2, &places, self.buffers[out].n);
        }
        if let Some(rows) = rows {
            let (to, from) = (self.buffers[out].rows, self.buffers[x].rows);
            let only = |row: usize, of: usize| if of == 1 { 0 } else { row };
            let places: Vec<_> = rows.iter().map(|&(y, x)| (only(y, to), only(x, from))).collect();
            y = route(y, 1, &places, to);
        }
        Ok(if c == 1.0 { y } else { y * c })
    }

    /// The derivatives of these orders.
    fn act(&mut self, z: Id, act: &Activation, orders: &[usize]) -> Result<Vec<Tensor<3>>, Error> {
        let most = orders.iter().copied().max().unwrap_or(0);
        let all = jet(act, self.get(z)?, most)?;
        Ok(orders.iter().map(|&order| all[order].clone()).collect())
    }

    /// Entries of groups of `len` entries that are `inner` apart, picked where `z` is largest, or put back there.
    fn picked(&mut self, place: PickPlace, x: Id, z: Id, [len, inner]: [usize; 2]) -> Result<Tensor<3>, Error> {
        let n = self.buffers[z].n;
        let outer = n / (len * inner);
        let z = self.get(z)?.inner();
        let z = z.clone().reshape([z.dims()[0], 1, outer, len, inner]);
        // what is no number is larger than any; of equals, the first
        let bad = z.clone().is_nan();
        let none = bad.clone().any_dim(3).bool_not().expand(z.dims());
        let number = z.mask_fill(bad.clone(), f64::NEG_INFINITY);
        let largest = number.clone().equal(number.clone().max_dim(3).expand(number.dims()));
        let candidates = bad.bool_or(largest.bool_and(none));
        let positions = of_numbers((0..len).map(|j| j as f64), [1, 1, 1, len, 1], &number.device(), number.dtype());
        let positions = positions.expand(number.dims());
        let first = positions.clone().mask_fill(candidates.bool_not(), len as f64).min_dim(3);
        let elsewhere = positions.not_equal(first.expand(number.dims()));

        let x = self.get(x)?;
        let [samples, rows, _] = x.dims();
        let all = [samples.max(number.dims()[0]), rows, outer, len, inner];
        let elsewhere = if x.is_autodiff() { Tensor::from_inner(elsewhere) } else { elsewhere }.expand(all);
        Ok(match place {
            PickPlace::Y => {
                let x = x.reshape([samples, rows, outer, len, inner]).expand(all);
                x.mask_fill(elsewhere, 0.0).sum_dim(3).reshape([all[0], rows, outer * inner])
            }
            PickPlace::X => {
                let x = x.reshape([samples, rows, outer, 1, inner]).expand(all);
                x.mask_fill(elsewhere, 0.0).reshape([all[0], rows, n])
            }
        })
    }

    fn frozen(&mut self, x: Id) -> Result<Tensor<3>, Error> {
        Ok(without_gradient(self.get(x)?))
    }

    fn times(&mut self, out: Id, [a, b]: [Id; 2], c: f64, rows: &Triples<f64>) -> Result<Tensor<3>, Error> {
        let y = self.rows_of(a, rows, |t| t.a)? * self.rows_of(b, rows, |t| t.b)?;
        Ok(self.meet(out, if c == 1.0 { y } else { y * c }, rows))
    }

    /// The rows of an operand in the order of a list, or as they are.
    fn rows_of(
        &mut self,
        id: Id,
        rows: &Triples<f64>,
        row: impl Fn(&hessquik::schedule::Triple<f64>) -> usize,
    ) -> Result<Tensor<3>, Error> {
        let x = self.get(id)?;
        Ok(match rows {
            Some(list) if x.dims()[1] > 1 => pick(x, 1, &list.iter().map(row).collect::<Vec<_>>()),
            _ => x,
        })
    }

    /// What was computed for each entry of a list, times its factor, in the rows of the result.
    fn meet(&self, out: Id, y: Tensor<3>, rows: &Triples<f64>) -> Tensor<3> {
        let Some(list) = rows else { return y };
        let [samples, _, n] = y.dims();
        let y = y.expand([samples, list.len(), n]);
        let y = match list.iter().all(|t| t.c == 1.0) {
            true => y,
            false => y.clone() * of_numbers(list.iter().map(|t| t.c), [1, list.len(), 1], &y.device(), y.dtype()),
        };
        let to = self.buffers[out].rows;
        let places: Vec<_> = list.iter().enumerate().map(|(i, t)| (if to == 1 { 0 } else { t.y }, i)).collect();
        route(y, 1, &places, to)
    }

    /// A result (n_s, entries).
    fn read(&mut self, reading: &Reading) -> Result<Tensor<2>, Error> {
        let Buffer { n, rows, .. } = self.buffers[reading.from];
        let all = self.get(reading.from)?;
        let samples = all.dims()[0];
        // places count features first
        let all = turned_rows(all).reshape([samples, n * rows]);
        let places = &reading.places;
        if places.is_empty() {
            return Ok(zeros([self.x.dims()[0], 0], self.x));
        }
        let all = match places.iter().enumerate().all(|(e, &place)| e == place) && places.len() == n * rows {
            true => all,
            false => {
                let data = TensorData::new(places.iter().map(|&p| p as i64).collect::<Vec<_>>(), [places.len()]);
                all.clone().select(1, Tensor::<1, Int>::from_data(data, &all.device().inner()))
            }
        };
        Ok(if samples == self.x.dims()[0] { all } else { all.expand([self.x.dims()[0], places.len()]) })
    }
}

/// Rows and features changed over; what has one of either is the same in memory.
fn turned_rows(x: Tensor<3>) -> Tensor<3> {
    let [samples, rows, n] = x.dims();
    if rows == 1 || n == 1 { x.reshape([samples, n, rows]) } else { x.swap_dims(1, 2) }
}

/// The same numbers, which gradients do not pass.
fn without_gradient(x: Tensor<3>) -> Tensor<3> {
    if x.is_autodiff() { x.detach() } else { x }
}
