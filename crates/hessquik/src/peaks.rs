//! The peaks function of two variables, with its derivatives: data for fitting and tests.
use crate::{Error, Jet, Real, Request};
use ndarray::{Array2, Array3, Array4, ArrayBase, Data, Ix2};

/// MATLAB's two-dimensional [peaks function](https://www.mathworks.com/help/matlab/ref/peaks.html) at points `y`
/// (n_s, 2), with the derivatives that `request` asks for:
///
/// ```text
/// f(x, y) = 3 (1 - x)^2 exp(-x^2 - (y + 1)^2)
///         - 10 (x/5 - x^3 - y^5) exp(-x^2 - y^2)
///         - 1/3 exp(-(x + 1)^2 - y^2)
/// ```
///
/// value (n_s, 1), gradient (n_s, 2, 1), Hessian (n_s, 2, 2, 1), packed (n_s, 3, 1), diagonal (n_s, 2, 1) and Laplacian
/// (n_s, 1). It computes in double precision for either `F`; far away, where the exponentials underflow, everything is
/// zero. The mode of the request is ignored.
///
/// ```
/// use hessquik::{Request, peaks};
/// use ndarray::{arr2, array};
/// let jet = peaks(&array![[0.0, 0.0], [1.0, -1.0]], &Request::new().value().gradient().hessian())?;
/// let value = jet.value.unwrap();
/// assert!((value[[0, 0]] - 8.0 / 3.0 * (-1f64).exp()).abs() < 1e-15);
/// assert_eq!(jet.gradient.unwrap().shape(), [2, 2, 1]);
/// assert_eq!(jet.hessian.unwrap().shape(), [2, 2, 2, 1]);
/// # Ok::<(), hessquik::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`] if `y` does not have two columns; [`Error::Request`] if the request is empty, or contains anything
/// other than the results above (directions, products, blocks, ...).
pub fn peaks<F: Real, S: Data<Elem = F>>(y: &ArrayBase<S, Ix2>, request: &Request<F>) -> Result<Jet<F>, Error> {
    let r = request;
    if y.ncols() != 2 {
        return Err(Error::shape("the points of peaks", y.shape(), "[n, 2]"));
    }
    if r.is_empty() {
        return Err(Error::Request(crate::request::EMPTY.into()));
    }
    let directed = r.directions.is_some() || r.outputs.is_some() || r.products.is_some() || r.operator.is_some();
    if directed || r.factored || r.block.is_some() || r.partials.is_some() || r.higher_order() {
        let known = "value, gradient, hessian, packed, diagonal and laplacian";
        return Err(Error::Request(format!("peaks gives {known}, along no directions")));
    }
    let n = y.nrows();
    let mut jet = Jet {
        value: r.value.then(|| Array2::zeros((n, 1))),
        gradient: r.gradient.then(|| Array3::zeros((n, 2, 1))),
        hessian: r.hessian.then(|| Array4::zeros((n, 2, 2, 1))),
        packed: r.packed.then(|| Array3::zeros((n, 3, 1))),
        diagonal: r.diagonal.then(|| Array3::zeros((n, 2, 1))),
        laplacian: r.laplacian.then(|| Array2::zeros((n, 1))),
        ..Jet::default()
    };
    for (s, point) in y.rows().into_iter().enumerate() {
        let d = derivatives(point[0].as_f64(), point[1].as_f64());
        let (laplacian, [f, fx, fy, fxx, fxy, fyy]) = (F::of(d[3] + d[5]), d.map(F::of));
        jet.value.iter_mut().for_each(|a| a[[s, 0]] = f);
        jet.laplacian.iter_mut().for_each(|a| a[[s, 0]] = laplacian);
        for (a, i) in [(&mut jet.gradient, [fx, fy]), (&mut jet.diagonal, [fxx, fyy])] {
            a.iter_mut().for_each(|a| (a[[s, 0, 0]], a[[s, 1, 0]]) = (i[0], i[1]));
        }
        if let Some(a) = &mut jet.hessian {
            a[[s, 0, 0, 0]] = fxx;
            a[[s, 0, 1, 0]] = fxy;
            a[[s, 1, 0, 0]] = fxy;
            a[[s, 1, 1, 0]] = fyy;
        }
        if let Some(a) = &mut jet.packed {
            [fxx, fxy, fyy].into_iter().enumerate().for_each(|(i, h)| a[[s, i, 0]] = h);
        }
    }
    Ok(jet)
}

/// `f, f_x, f_y, f_xx, f_xy, f_yy` at one point.
fn derivatives(x: f64, y: f64) -> [f64; 6] {
    let (u, x2, y2) = (1.0 - x, x * x, y * y);
    // each term is a polynomial p times a bell around (a, b); p with its derivatives in the order of the result
    let terms = [
        ([3.0 * u * u, -6.0 * u, 0.0, 6.0, 0.0, 0.0], [0.0, -1.0]),
        (
            [-10.0 * (x / 5.0 - x * x2 - y * y2 * y2), 30.0 * x2 - 2.0, 50.0 * y2 * y2, 60.0 * x, 0.0, 200.0 * y * y2],
            [0.0, 0.0],
        ),
        ([-1.0 / 3.0, 0.0, 0.0, 0.0, 0.0, 0.0], [-1.0, 0.0]),
    ];
    let mut sum = [0.0; 6];
    for ([p, px, py, pxx, pxy, pyy], [a, b]) in terms {
        let (dx, dy) = (x - a, y - b);
        let bell = (-dx * dx - dy * dy).exp();
        if bell == 0.0 {
            continue; // p may have overflown; its product with the bell has not
        }
        let (s, t) = (-2.0 * dx, -2.0 * dy);
        let term = [
            p,
            px + p * s,
            py + p * t,
            pxx + 2.0 * px * s + p * (s * s - 2.0),
            pxy + px * t + py * s + p * s * t,
            pyy + 2.0 * py * t + p * (t * t - 2.0),
        ];
        sum.iter_mut().zip(term).for_each(|(sum, term)| *sum += term * bell);
    }
    sum
}
