//! Every kind of step beside the library's plain executor, with every combination of rows and of what samples share.
#[path = "../../tests/device/numbers.rs"]
mod numbers;
#[path = "../../../hessquik/src/execute/plain.rs"]
mod plain;

use super::Machine;
use burn::tensor::{DType, Device, Tensor, TensorData};
use hessquik::Activation;
use hessquik::schedule::{Block, Buffer, DotPlace, GramPlace, Op, PickPlace, Place, Source, Step, Triple};
use numbers::Numbers;
use plain::Plain;
use std::sync::Arc;

fn buffer(n: usize, rows: usize, shared: bool) -> Buffer<f64> {
    Buffer { n, rows, shared, source: Source::Steps }
}

/// All combinations of which of `N` buffers are shared.
fn shared<const N: usize>() -> impl Iterator<Item = [bool; N]> {
    (0..1usize << N).map(|bits| std::array::from_fn(|i| bits >> i & 1 == 1))
}

/// Numbers (n, rows, samples) as a tensor (samples, rows, n).
fn tensor(spec: &Buffer<f64>, ns: usize, data: &[f64], dtype: DType) -> Tensor<3> {
    let samples = if spec.shared { 1 } else { ns };
    let data = TensorData::new(data.to_vec(), [spec.n, spec.rows, samples]).convert_dtype(dtype);
    Tensor::from_data(data, (&Device::flex(), dtype)).permute([2, 1, 0])
}

/// Runs a step by both executors from the same numbers, set and added to what is there, and compares the buffer it writes.
fn compare(specs: &[Buffer<f64>], op: &Op<f64>, numbers: &mut Numbers) {
    for (onto, ns, dtype) in
        [(false, 1, DType::F64), (true, 3, DType::F64), (false, 3, DType::F32), (true, 1, DType::F32)]
    {
        let step = Step { op: op.clone(), out: 0, onto };
        let mut plain = Plain::new(specs, ns);
        plain.data.iter_mut().flatten().for_each(|x| *x = numbers.real());
        let (theta, x) =
            (Tensor::<1>::zeros([1], (&Device::flex(), dtype)), Tensor::zeros([ns, 1], (&Device::flex(), dtype)));
        let mut machine = Machine::new(specs, &theta, &x);
        for (id, (spec, data)) in specs.iter().zip(&plain.data).enumerate() {
            machine.values[id] = Some(tensor(spec, ns, data, dtype));
        }
        machine.together(std::slice::from_ref(&step)).expect("a known kind");
        plain.run(&step);
        let found = machine.values[0].clone().expect("set").permute([2, 1, 0]);
        let found = found.into_data().convert::<f64>().try_to_vec::<f64>().expect("numbers");
        assert_eq!(found.len(), plain.data[0].len(), "{step:?} of {specs:?}");
        let tolerance = if dtype == DType::F32 { 1e-5 } else { 1e-13 };
        for (at, (found, wanted)) in found.iter().zip(&plain.data[0]).enumerate() {
            assert!(
                (found - wanted).abs() <= tolerance * (4.0 + wanted.abs()),
                "{at}: {found}, not {wanted}, of {ns} samples after {step:?} of {specs:?}"
            );
        }
    }
}

/// Lists of triples: in order, with repetitions, with gaps, out of order; none.
fn lists([y, a, b]: [usize; 3], numbers: &mut Numbers) -> Vec<Vec<Triple<f64>>> {
    let mut triple = |row: usize| Triple { y: row, a: numbers.below(a), b: numbers.below(b), c: numbers.real() };
    let all: Vec<_> = (0..y).map(&mut triple).collect();
    let twice: Vec<_> = (0..2 * y).map(|t| triple(t / 2)).collect();
    let gaps: Vec<_> = (0..y).step_by(2).map(&mut triple).collect();
    let mixed: Vec<_> = (0..2 * y + 1).map(|t| triple(t * 7 % y)).collect();
    let plain: Vec<_> = (0..y).map(|row| Triple { c: 1.0, ..triple(row) }).collect();
    vec![all, twice, gaps, mixed, plain, Vec::new()]
}

/// Rows of the result and of two operands that meet without a list.
const ROWS: [[usize; 3]; 8] = [[1, 1, 1], [3, 3, 3], [3, 3, 1], [3, 1, 3], [3, 1, 1], [1, 3, 3], [1, 3, 1], [1, 1, 3]];

#[test]
fn moves() {
    let numbers = &mut Numbers(1);
    let block = |from, to, len| Block { from, to, len };
    for [y, x] in shared() {
        for (ry, rx) in [(1, 1), (3, 3), (3, 1), (1, 3)] {
            let specs = [buffer(7, ry, y), buffer(7, rx, x)];
            let blocks = [
                None,
                Some(vec![block(2, 0, 3), block(0, 3, 4)]),
                Some(vec![block(0, 1, 2), block(3, 5, 1)]),
                Some(vec![block(0, 0, 7), block(1, 2, 3)]),
                Some((0..7).map(|i| block(i, i * 3 % 7, 1)).collect()),
                Some((0..7).map(|i| block(i, i % 2, 1)).collect()),
                Some((0..7).map(|i| block(4, i, 1)).collect()),
            ];
            let pairs = [
                None,
                Some((0..ry).map(|r| (r, (r + 1) % rx)).collect::<Vec<_>>()),
                Some(vec![(ry - 1, 0), (0, rx - 1), (ry - 1, rx - 1)]),
                Some((0..2 * ry).map(|r| (r / 2, r % rx)).collect()),
            ];
            for blocks in blocks {
                for rows in &pairs {
                    let (blocks, rows) = (blocks.clone().map(Arc::from), rows.clone().map(Arc::from));
                    for c in [1.0, numbers.real()] {
                        compare(&specs, &Op::Move { x: 1, c, blocks: blocks.clone(), rows: rows.clone() }, numbers);
                    }
                }
            }
        }
    }
    // sums, and one entry everywhere
    for (from, to) in [(12, 1), (1, 12), (12, 4)] {
        let specs = [buffer(to, 2, false), buffer(from, 2, false)];
        let blocks = (0..12).map(|i| block(i % from, i % to, 1)).collect();
        compare(&specs, &Op::Move { x: 1, c: 0.5, blocks: Some(blocks), rows: None }, numbers);
    }
}

#[test]
fn entry_by_entry() {
    let numbers = &mut Numbers(2);
    for [y, x] in shared() {
        for (ry, rx) in [(1, 1), (2, 2), (2, 1), (1, 2)] {
            let specs = [buffer(12, ry, y), buffer(12, rx, x)];
            compare(&specs, &Op::Add { s: numbers.real() }, numbers);
            compare(&specs, &Op::Frozen { x: 1 }, numbers);
            for (len, inner) in [(12, 1), (3, 1), (3, 2), (2, 6)] {
                for z in [false, true] {
                    let pick = |place| Op::Pick { place, x: 1, z: 2, len, inner };
                    let specs = [buffer(12 / len, ry, y), buffer(12, rx, x), buffer(12, 1, z)];
                    compare(&specs, &pick(PickPlace::Y), numbers);
                    let specs = [buffer(12, ry, y), buffer(12 / len, rx, x), buffer(12, 1, z)];
                    compare(&specs, &pick(PickPlace::X), numbers);
                }
            }
            if ry == rx && (y, x) != (true, false) {
                for order in 0..6 {
                    compare(&specs, &Op::Act { z: 1, act: Activation::Tanh, order }, numbers);
                }
            }
        }
    }
}

/// Of equals the first, and what is no number before all others.
#[test]
fn picks_of_equals() {
    let device = (&Device::flex(), DType::F64);
    let specs = [buffer(3, 1, false), buffer(12, 1, false), buffer(12, 1, false)];
    let nan = f64::NAN;
    let z = [1.0, 2.0, 2.0, 0.0, f64::INFINITY, nan, 3.0, nan, -1.0, -1.0, -1.0, -1.0];
    let mut plain = Plain::new(&specs, 1);
    (plain.data[1], plain.data[2]) = ((0..12).map(f64::from).collect(), z.to_vec());
    let step = Step { op: Op::Pick { place: PickPlace::Y, x: 1, z: 2, len: 4, inner: 1 }, out: 0, onto: false };
    let (theta, x) = (Tensor::<1>::zeros([1], device), Tensor::zeros([1, 1], device));
    let mut machine = Machine::new(&specs, &theta, &x);
    for id in [1, 2] {
        machine.values[id] = Some(tensor(&specs[id], 1, &plain.data[id], DType::F64));
    }
    machine.together(std::slice::from_ref(&step)).expect("a known kind");
    plain.run(&step);
    let found = machine.values[0].clone().expect("set").into_data().try_to_vec::<f64>().expect("numbers");
    assert_eq!((found, plain.data[0].as_slice()), (vec![1.0, 5.0, 8.0], &[1.0, 5.0, 8.0][..]));
}

#[test]
fn times() {
    let numbers = &mut Numbers(4);
    for [y, a, b] in shared() {
        for [ry, ra, rb] in ROWS {
            let specs = [buffer(5, ry, y), buffer(5, ra, a), buffer(5, rb, b)];
            let c = numbers.real();
            compare(&specs, &Op::Times { a: 1, b: 2, c, rows: None }, numbers);
            for list in lists([ry, ra, rb], numbers) {
                compare(&specs, &Op::Times { a: 1, b: 2, c, rows: Some(list.into()) }, numbers);
            }
            // a square
            compare(&specs, &Op::Times { a: 1, b: 1, c: 1.0, rows: None }, numbers);
        }
    }
}

#[test]
fn products() {
    let numbers = &mut Numbers(5);
    for [y, a, b] in shared() {
        for rows in ROWS {
            for [g, r, s, t] in [[1, 1, 3, 4], [1, 4, 3, 1], [2, 2, 3, 2], [1, 2, 1, 3], [3, 1, 2, 1], [1, 1, 1, 1]] {
                let (whole, left, right) = (g * r * t, g * r * s, g * s * t);
                let places = [
                    (Place::Y, [whole, left, right]),
                    (Place::A, [left, whole, right]),
                    (Place::B, [right, left, whole]),
                ];
                for (place, n) in places {
                    let specs = [buffer(n[0], rows[0], y), buffer(n[1], rows[1], a), buffer(n[2], rows[2], b)];
                    let op = |rows| Op::Product { place, a: 1, b: 2, dims: [g, r, s, t], rows };
                    compare(&specs, &op(None), numbers);
                    let list = lists(rows, numbers).swap_remove(numbers.below(5));
                    compare(&specs, &op(Some(list.into())), numbers);
                }
            }
        }
    }
}

#[test]
fn dots() {
    let numbers = &mut Numbers(6);
    for [y, a, b] in shared() {
        for (q, k, n) in [(1, 1, 4), (2, 3, 4), (3, 1, 2), (1, 4, 1)] {
            let (d, g, t) = ([q * k, 1], [n, q], [n, k]);
            for (place, [o, l, r]) in [(DotPlace::D, [d, g, t]), (DotPlace::G, [g, d, t]), (DotPlace::T, [t, d, g])] {
                let specs = [buffer(o[0], o[1], y), buffer(l[0], l[1], a), buffer(r[0], r[1], b)];
                compare(&specs, &Op::Dot { place, a: 1, b: 2 }, numbers);
            }
        }
    }
}

#[test]
fn grams() {
    let numbers = &mut Numbers(7);
    for [y, a, b, t] in shared() {
        for (q, k, n) in [(1, 1, 3), (1, 3, 4), (2, 3, 2), (3, 1, 1)] {
            let (h, c, s) = ([q * k * k, 1], [n, q], [n, k]);
            for (place, [o, l, m]) in [(GramPlace::H, [h, c, s]), (GramPlace::C, [c, h, s]), (GramPlace::S, [s, h, c])]
            {
                let of = |[n, rows]: [usize; 2], shared| buffer(n, rows, shared);
                let specs = [of(o, y), of(l, a), of(m, b), of(s, t)];
                compare(&specs, &Op::Gram { place, operands: [1, 2, 3], c: numbers.real() }, numbers);
                if place != GramPlace::S {
                    compare(&specs, &Op::Gram { place, operands: [1, 3, 3], c: 1.0 }, numbers);
                }
            }
        }
    }
}
