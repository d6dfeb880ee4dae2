//! Each step against the plain executor, with every combination of rows and of shared buffers.
use super::super::Plain;
use super::{Memory, Scratch, run};
use crate::schedule::{Block, Buffer, DotPlace, GramPlace, Id, Op, PickPlace, Place, Source, Step, Triple};
use crate::{Activation, Real};
use std::sync::Arc;

/// Sizes of the samples: whole vectors, and what no vector divides.
const SAMPLES: [usize; 3] = if cfg!(miri) { [1, 3, 16] } else { [1, 16, 48] };

/// Numbers that repeat themselves nowhere in a test.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn below(&mut self, n: usize) -> usize {
        self.next() as usize % n
    }

    fn real<F: Real>(&mut self) -> F {
        F::of(self.below(2001) as f64 / 1000.0 - 1.0)
    }
}

fn buffer<F>(n: usize, rows: usize, shared: bool) -> Buffer<F> {
    Buffer { n, rows, shared, source: Source::Steps }
}

/// Runs steps by both executors from the same numbers, and compares all buffers.
fn compare<F: Real>(specs: &[Buffer<F>], steps: &[Step<F>], ns: usize, numbers: &mut Numbers) {
    let mut plain = Plain::new(specs, ns);
    for (data, spec) in plain.data.iter_mut().zip(specs) {
        data.iter_mut().for_each(|x| *x = numbers.real());
        if let Source::Units(units) = &spec.source {
            data.fill(F::zero());
            let samples = if spec.shared { 1 } else { ns };
            for (row, unit) in units.iter().enumerate() {
                data[(unit * spec.rows + row) * samples..][..samples].fill(F::one());
            }
        }
    }
    // shared buffers that no step writes go first, and everything else with gaps
    let written = |id: Id| steps.iter().any(|step| step.out == id);
    let mut offsets = vec![0; specs.len()];
    let (mut fixed, mut own, mut tile) = (vec![F::nan(); 1], vec![F::nan(); 3], 5);
    for (id, spec) in specs.iter().enumerate().filter(|(id, spec)| spec.shared && !written(*id)) {
        offsets[id] = fixed.len();
        fixed.extend(&plain.data[id]);
        fixed.extend(vec![F::nan(); spec.n % 2]);
    }
    for (id, spec) in specs.iter().enumerate() {
        if !spec.shared {
            offsets[id] = tile;
            tile += spec.len() + 1;
        } else if written(id) {
            offsets[id] = fixed.len() + own.len();
            own.extend(&plain.data[id]);
        }
    }
    let mut memory = vec![F::nan(); tile * ns];
    for (id, spec) in specs.iter().enumerate().filter(|(_, spec)| !spec.shared) {
        memory[offsets[id] * ns..][..spec.len() * ns].copy_from_slice(&plain.data[id]);
    }
    let mut scratch = Scratch::default();
    let fixed_before = fixed.clone();
    let mut space =
        Memory { offsets: &offsets, fixed: &fixed, own: &mut own, tile: &mut memory, scratch: &mut scratch };
    run(steps, specs, &mut space, ns);
    steps.iter().for_each(|step| plain.run(step));
    let tolerance = if size_of::<F>() == 4 { 3e-5 } else { 1e-13 };
    for (id, spec) in specs.iter().enumerate() {
        let found = match (spec.shared, written(id)) {
            (false, _) => &memory[offsets[id] * ns..][..spec.len() * ns],
            (true, true) => &own[offsets[id] - fixed.len()..][..spec.len()],
            (true, false) => &fixed[offsets[id]..][..spec.len()],
        };
        for (at, (found, wanted)) in found.iter().zip(&plain.data[id]).enumerate() {
            let (found, wanted) = (found.as_f64(), wanted.as_f64());
            let scale = 1.0 + wanted.abs() + ns as f64 / 8.0;
            assert!(
                (found - wanted).abs() <= tolerance * scale,
                "buffer {id} at {at}: {found}, not {wanted}, of {ns} samples, after {steps:?} of {specs:?}"
            );
        }
    }
    let gaps = memory.iter().chain(&own).filter(|x| x.is_nan()).count();
    let used: usize = specs.iter().filter(|spec| !spec.shared).map(|spec| spec.len() * ns).sum();
    assert!(gaps >= tile * ns - used, "something was written between the buffers");
    assert!(fixed.iter().zip(&fixed_before).all(|(a, b)| a == b || a.is_nan()));
}

/// Every step alone, both set and added to what is there.
fn both_ways<F: Real>(specs: &[Buffer<F>], op: &Op<F>, out: Id, numbers: &mut Numbers) {
    for ns in SAMPLES {
        for onto in [false, true] {
            compare(specs, &[Step { op: op.clone(), out, onto }], ns, numbers);
        }
    }
}

/// All combinations of which of `N` buffers are shared.
fn shared<const N: usize>() -> impl Iterator<Item = [bool; N]> {
    (0..1usize << N).map(|bits| std::array::from_fn(|i| bits >> i & 1 == 1))
}

/// Lists of triples: in order, with gaps, out of order, with repetitions.
fn lists<F: Real>(rows: [usize; 3], numbers: &mut Numbers) -> Vec<Vec<Triple<F>>> {
    let [y, a, b] = rows;
    let mut triple = |row: usize| Triple { y: row, a: numbers.below(a), b: numbers.below(b), c: numbers.real() };
    let all: Vec<_> = (0..y).map(&mut triple).collect();
    let twice: Vec<_> = (0..2 * y).map(|t| triple(t / 2)).collect();
    let gaps: Vec<_> = (0..y).step_by(2).map(&mut triple).collect();
    let mixed: Vec<_> = (0..2 * y + 1).map(|t| triple(t * 7 % y)).collect();
    vec![all, twice, gaps, mixed]
}

fn moves<F: Real>() {
    let numbers = &mut Numbers(1);
    let block = |from, to, len| Block { from, to, len };
    for [y, x] in shared() {
        for (ry, rx) in [(1, 1), (3, 3), (3, 1), (1, 3)] {
            let specs: [Buffer<F>; 2] = [buffer(7, ry, y), buffer(7, rx, x)];
            let blocks = [
                None,
                Some(vec![block(2, 0, 3), block(0, 3, 4)]),
                Some(vec![block(0, 1, 2), block(3, 5, 1)]),
                Some(vec![block(0, 0, 7), block(1, 2, 3)]),
            ];
            let pairs = [
                None,
                Some((0..ry).map(|r| (r, (r + 1) % rx)).collect::<Vec<_>>()),
                Some(vec![(ry - 1, 0), (0, rx - 1), (ry - 1, rx - 1)]),
                Some((0..2 * ry).map(|r| (r / 2, r % rx)).collect()),
            ];
            for blocks in blocks {
                for rows in &pairs {
                    let c = numbers.real();
                    let blocks = blocks.clone().map(Arc::from);
                    let op = Op::Move { x: 1, c, blocks, rows: rows.clone().map(Arc::from) };
                    both_ways(&specs, &op, 0, numbers);
                }
            }
        }
    }
}

fn entry_by_entry<F: Real>() {
    let numbers = &mut Numbers(2);
    for [y, x] in shared() {
        for (ry, rx) in [(1, 1), (2, 2), (2, 1), (1, 2)] {
            let specs: [Buffer<F>; 2] = [buffer(12, ry, y), buffer(12, rx, x)];
            both_ways(&specs, &Op::Add { s: numbers.real() }, 0, numbers);
            both_ways(&specs, &Op::Frozen { x: 1 }, 0, numbers);
            for (len, inner) in [(12, 1), (3, 1), (3, 2), (2, 6)] {
                for z in [false, true] {
                    let pick = |place| Op::Pick { place, x: 1, z: 2, len, inner };
                    let specs: [Buffer<F>; 3] = [buffer(12 / len, ry, y), buffer(12, rx, x), buffer(12, 1, z)];
                    both_ways(&specs, &pick(PickPlace::Y), 0, numbers);
                    let specs: [Buffer<F>; 3] = [buffer(12, ry, y), buffer(12 / len, rx, x), buffer(12, 1, z)];
                    both_ways(&specs, &pick(PickPlace::X), 0, numbers);
                }
            }
            for order in 0..4 {
                both_ways(&specs, &Op::Act { z: 1, act: Activation::Tanh, order }, 0, numbers);
            }
        }
    }
}

fn activations<F: Real>() {
    let numbers = &mut Numbers(3);
    let act = |act: &Activation, order| Op::Act { z: 0, act: act.clone(), order };
    let (tanh, soft) = (Activation::Tanh, Activation::softplus());
    for shared in [false, true] {
        for ns in SAMPLES {
            let n = if cfg!(miri) { 5 } else { 70 };
            let specs: Vec<Buffer<F>> = (0..6).map(|id| buffer(if id == 5 { n + 1 } else { n }, 1, shared)).collect();
            let step = |op, out| Step { op, out, onto: false };
            // together, in any order, with gaps; not together: the same order again, another activation, added
            let lists = [
                vec![step(act(&tanh, 0), 1), step(act(&tanh, 1), 2), step(act(&tanh, 2), 3), step(act(&tanh, 3), 4)],
                vec![step(act(&soft, 2), 3), step(act(&soft, 1), 1)],
                vec![step(act(&tanh, 3), 3)],
                vec![step(act(&tanh, 1), 1), step(act(&tanh, 1), 2), step(act(&soft, 0), 3)],
                vec![step(act(&tanh, 1), 1), Step { onto: true, ..step(act(&tanh, 0), 2) }, step(act(&tanh, 2), 3)],
            ];
            for steps in lists {
                compare(&specs[..5], &steps, ns, numbers);
            }
        }
    }
}

fn times<F: Real>() {
    let numbers = &mut Numbers(4);
    for [y, a, b] in shared() {
        for rows in [[1, 1, 1], [3, 3, 3], [3, 3, 1], [3, 1, 3], [3, 1, 1], [1, 3, 3], [1, 3, 1], [1, 1, 3]] {
            let specs: [Buffer<F>; 3] = [buffer(5, rows[0], y), buffer(5, rows[1], a), buffer(5, rows[2], b)];
            let c = numbers.real();
            both_ways(&specs, &Op::Times { a: 1, b: 2, c, rows: None }, 0, numbers);
            for list in lists(rows, numbers) {
                both_ways(&specs, &Op::Times { a: 1, b: 2, c, rows: Some(list.into()) }, 0, numbers);
            }
        }
    }
}

/// The features of the result and of both operands.
fn features(place: Place, [g, r, s, t]: [usize; 4]) -> [usize; 3] {
    let (y, a, b) = (g * r * t, g * r * s, g * s * t);
    match place {
        Place::Y => [y, a, b],
        Place::A => [a, y, b],
        Place::B => [b, a, y],
    }
}

fn products<F: Real>() {
    let numbers = &mut Numbers(5);
    for place in [Place::Y, Place::A, Place::B] {
        for dims in [[1, 1, 5, 6], [2, 2, 3, 2], [1, 5, 2, 1], [1, 1, 1, 1]] {
            let n = features(place, dims);
            for flags in shared::<3>() {
                for rows in [[1, 1, 1], [3, 3, 3], [3, 3, 1], [3, 1, 3], [3, 1, 1], [1, 3, 3], [1, 3, 1], [1, 1, 3]] {
                    let specs: [Buffer<F>; 3] = std::array::from_fn(|i| buffer(n[i], rows[i], flags[i]));
                    both_ways(&specs, &Op::Product { place, a: 1, b: 2, dims, rows: None }, 0, numbers);
                    for list in lists(rows, numbers) {
                        let op = Op::Product { place, a: 1, b: 2, dims, rows: Some(list.into()) };
                        both_ways(&specs, &op, 0, numbers);
                    }
                }
            }
        }
    }
}

/// Rows of weights where the left factor is of unit vectors.
fn units<F: Real>() {
    let numbers = &mut Numbers(8);
    for dims in [[1, 1, 5, 6], [2, 2, 3, 2]] {
        let n = features(Place::Y, dims);
        for flags in shared::<3>() {
            for rows in [[1, 1, 1], [3, 3, 3], [3, 3, 1], [3, 1, 3], [1, 3, 1]] {
                let mut specs: [Buffer<F>; 3] = std::array::from_fn(|i| buffer(n[i], rows[i], flags[i]));
                specs[1].source = Source::Units((0..rows[1]).map(|_| numbers.below(n[1])).collect());
                both_ways(&specs, &Op::Product { place: Place::Y, a: 1, b: 2, dims, rows: None }, 0, numbers);
                for list in lists(rows, numbers) {
                    let op = Op::Product { place: Place::Y, a: 1, b: 2, dims, rows: Some(list.into()) };
                    both_ways(&specs, &op, 0, numbers);
                }
            }
        }
    }
}

fn dots<F: Real>() {
    let numbers = &mut Numbers(6);
    for (q, k, n) in [(1, 1, 3), (2, 3, 6), (5, 6, 7), (9, 4, 2)] {
        for flags in shared::<3>() {
            let d = |shared| buffer(q * k, 1, shared);
            let g = |shared| buffer(n, q, shared);
            let t = |shared| buffer(n, k, shared);
            for place in [DotPlace::D, DotPlace::G, DotPlace::T] {
                let specs: [Buffer<F>; 3] = match place {
                    DotPlace::D => [d(flags[0]), g(flags[1]), t(flags[2])],
                    DotPlace::G => [g(flags[0]), d(flags[1]), t(flags[2])],
                    DotPlace::T => [t(flags[0]), d(flags[1]), g(flags[2])],
                };
                both_ways(&specs, &Op::Dot { place, a: 1, b: 2 }, 0, numbers);
            }
        }
    }
}

fn grams<F: Real>() {
    let numbers = &mut Numbers(7);
    for (q, k, n) in [(1, 1, 3), (2, 2, 5), (1, 3, 4), (2, 5, 6), (3, 4, 3), (1, 10, 9)] {
        for flags in shared::<4>() {
            let h = |shared| buffer(q * k * k, 1, shared);
            let c = |shared| buffer(n, q, shared);
            let s = |shared| buffer(n, k, shared);
            for place in [GramPlace::H, GramPlace::C, GramPlace::S] {
                let specs: [Buffer<F>; 4] = match place {
                    GramPlace::H => [h(flags[0]), c(flags[1]), s(flags[2]), s(flags[3])],
                    GramPlace::C => [c(flags[0]), h(flags[1]), s(flags[2]), s(flags[3])],
                    GramPlace::S => [s(flags[0]), h(flags[1]), c(flags[2]), s(flags[3])],
                };
                let factor = numbers.real();
                both_ways(&specs, &Op::Gram { place, operands: [1, 2, 3], c: factor }, 0, numbers);
                if place != GramPlace::S {
                    both_ways(&specs, &Op::Gram { place, operands: [1, 2, 2], c: factor }, 0, numbers);
                }
            }
        }
    }
}

macro_rules! in_both {
    ($($name:ident: $test:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            $test::<f32>();
            $test::<f64>();
        })*
    };
}
in_both! {
    moves_are_as_the_plain_ones: moves,
    steps_entry_by_entry_are_as_the_plain_ones: entry_by_entry,
    activations_are_as_the_plain_ones: activations,
    products_of_entries_are_as_the_plain_ones: times,
    products_of_matrices_are_as_the_plain_ones: products,
    products_with_units_are_as_the_plain_ones: units,
    sums_over_features_are_as_the_plain_ones: dots,
    sums_over_sites_are_as_the_plain_ones: grams,
}
