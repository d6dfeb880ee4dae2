use super::super::test_sizes;
use super::*;

/// Every shape of block, panel and remainder against the triple loop.
fn right_for<F: Real>(tolerance: f64) {
    let entry = |i: usize| F::of(((i * 37 + 11) % 101) as f64 / 50.0 - 1.0);
    let numbers: Vec<F> = (0..20_000).map(entry).collect();
    for rows in test_sizes([1, 2, 3, 4, 5, 7, 11, 12, 13, 30]) {
        for inner in test_sizes([0, 1, 2, 17, 40, 130]) {
            for cols in test_sizes([1, 2, 8, 15, 16, 17, 31, 33, 48, 64, 65, 130]) {
                for (transposed, packed, onto) in [(false, false, 0), (true, false, 1), (false, true, 2)] {
                    let a = Mat::new(&numbers[3..], rows, inner, inner + 1);
                    let a = if transposed { Mat::new(&numbers, inner, rows, rows + 2).t() } else { a };
                    let b = &numbers[100..];
                    let of_b = Packed::new(Mat::new(b, inner, cols, cols + 3), None);
                    let right = if packed { Right::Packed(&of_b, 0) } else { Right::Rows(b, cols + 3) };
                    let stride = cols + 1;
                    let mut c = numbers[7..][..rows * stride].to_vec();
                    let onto = [Onto::Zero, Onto::Itself, Onto::Row(&numbers[50..])][onto];
                    let before = c.clone();
                    Product { a, b: right, cols, onto, c: &mut c, stride }.run();
                    for i in 0..rows {
                        for j in 0..cols {
                            let start = match onto {
                                Onto::Zero => F::zero(),
                                Onto::Itself => before[i * stride + j],
                                Onto::Row(row) => row[j],
                            };
                            let terms = (0..inner)
                                .map(|k| a.data[i * a.rs + k * a.cs].as_f64() * b[k * (cols + 3) + j].as_f64());
                            let wanted = start.as_f64() + terms.sum::<f64>();
                            let error = (c[i * stride + j].as_f64() - wanted).abs();
                            assert!(error < tolerance, "{rows} {inner} {cols}: {i} {j} {error}");
                        }
                        assert_eq!(c[i * stride + cols], before[i * stride + cols], "between the rows");
                    }
                }
            }
        }
    }
}

/// Factors that pass the caches in blocks: parts of rows of all sizes, whole and odd last panels.
fn deep_right_for<F: Real>(tolerance: f64) {
    let numbers: Vec<F> = (0..140_000).map(|i| F::of(((i * 37 + 11) % 101) as f64 / 50.0 - 1.0)).collect();
    for (rows, inner, cols) in [(6, 192, 192), (7, 300, 200), (131, 193, 256), (253, 200, 259), (127, 257, 321)] {
        let (x, b, onto) = (&numbers[3..], &numbers[100..], &numbers[50..]);
        let of_b = Packed::new(Mat::new(b, inner, cols, cols + 3), None);
        for onto in [Onto::Zero, Onto::Itself, Onto::Row(onto)] {
            let before = numbers[7..][..rows * (cols + 1)].to_vec();
            let mut c = before.clone();
            let product = Product {
                a: Mat::new(x, rows, inner, inner + 1),
                b: Right::Packed(&of_b, 0),
                cols,
                onto,
                c: &mut c,
                stride: cols + 1,
            };
            assert!(product.deep());
            product.run();
            for (i, j) in (0..rows).step_by(rows / 5).chain([rows - 1]).flat_map(|i| (0..cols).map(move |j| (i, j))) {
                let start = match onto {
                    Onto::Zero => F::zero(),
                    Onto::Itself => before[i * (cols + 1) + j],
                    Onto::Row(row) => row[j],
                };
                let terms = (0..inner).map(|k| x[i * (inner + 1) + k].as_f64() * b[k * (cols + 3) + j].as_f64());
                let error = (c[i * (cols + 1) + j].as_f64() - start.as_f64() - terms.sum::<f64>()).abs();
                assert!(error < tolerance, "{rows} {inner} {cols}: {i} {j} {error}");
            }
            for i in 0..rows {
                assert_eq!(c[i * (cols + 1) + cols], before[i * (cols + 1) + cols], "between the rows");
            }
        }
    }
}

#[test]
#[cfg_attr(miri, ignore = "large products, in hours")]
fn deep_products_are_right() {
    deep_right_for::<f32>(1e-4);
    deep_right_for::<f64>(1e-12);
}

#[test]
fn lengths_are_cut_evenly() {
    for (len, most, unit) in [(0, 5, 1), (1, 5, 1), (126, 126, 6), (127, 126, 6), (12_601, 126, 6), (257, 128, 1)] {
        let mut next = 0;
        for (first, part) in even(len, most, unit) {
            assert_eq!(first, next);
            assert!(part > 0 && part <= most && (part % unit == 0 || first + part == len), "{len}: {first} {part}");
            next += part;
        }
        assert_eq!(next, len);
    }
}

#[test]
fn products_of_all_shapes_are_right() {
    right_for::<f32>(1e-4);
    right_for::<f64>(1e-12);
}
